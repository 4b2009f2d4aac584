package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// mutant is one defect: a text that occurs once in a file of the workspace, and its replacement.
type mutant struct{ name, file, old, new string }

// plant writes the changed file to a temporary directory, with an overlay that puts it in the place of the file in dir. It
// returns the path of the overlay, for the go command's flag -overlay. The caller calls remove when it is no longer used.
func (m mutant) plant(dir string) (overlay string, remove func(), err error) {
	file := filepath.Join(dir, filepath.FromSlash(m.file))
	source, err := os.ReadFile(file)
	if err != nil {
		return "", nil, err
	}
	switch n := bytes.Count(source, []byte(m.old)); {
	case m.old == "" || m.old == m.new:
		return "", nil, errors.New("the patch changes nothing")
	case n != 1:
		return "", nil, fmt.Errorf("the patch no longer fits: the text that it replaces occurs %d times in %s, not once: %q", n, m.file, m.old)
	}
	temp, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.RemoveAll(temp) }
	changed := filepath.Join(temp, "changed.go")
	overlay = filepath.Join(temp, "overlay.json")
	data, err := json.Marshal(map[string]any{"Replace": map[string]string{file: changed}})
	err = errors.Join(err,
		os.WriteFile(changed, bytes.Replace(source, []byte(m.old), []byte(m.new), 1), 0o644),
		os.WriteFile(overlay, data, 0o644))
	if err != nil {
		remove()
		return "", nil, err
	}
	return overlay, remove, nil
}

// mutants are plausible defects. A test must catch each.
var mutants = []mutant{
	// Recipient and content.
	{"wrong recipient", "app/inngest/functions/send_request_notification.go",
		"return r.technician(ctx, details.TechnicianID)", "return r.technician(ctx, r.event.RequestedByID)"},
	{"technician taken from the event", "app/inngest/functions/send_request_notification.go",
		"if request.TechnicianID != r.event.TechnicianID {", "if false {"},
	{"subject not escaped in HTML", "app/email/notification.go",
		`template.Must(template.New("notification.html").Parse(htmlSource))`, `texttemplate.Must(texttemplate.New("notification.html").Parse(htmlSource))`},
	{"text part missing", "app/email/message.go",
		"msg.SetBodyString(gomail.TypeTextPlain, text, gomail.WithPartEncoding(shortestEncoding(text)))\n\tmsg.AddAlternativeString(",
		"_ = text\n\tmsg.SetBodyString("},
	{"line break let into the subject", "app/request.go",
		"lineProblem(strings.Trim(typed, \" \")) != \"\":", "false:"},
	{"run not named in the email", "app/email/notification.go",
		`h["X-Inngest-Run-Id"] =`, `h["X-Run-Id"] =`},
	{"link without its signature", "app/links.go",
		`return link + "?sig=" + l.sign(requestID)`, `return link`},

	// The function, as Inngest sees it.
	{"missing step", "app/inngest/functions/send_request_notification.go",
		"technician, err := step.Run(ctx, StepGetTechnicianEmail, recordingFailure(r, func(ctx context.Context) (TechnicianEmail, error) {\n\t\treturn r.technician(ctx, details.TechnicianID)\n\t}))",
		"technician, err := recordingFailure(r, func(ctx context.Context) (TechnicianEmail, error) {\n\t\treturn r.technician(ctx, details.TechnicianID)\n\t})(ctx)"},
	{"step renamed", "app/inngest/functions/send_request_notification.go",
		`= "send-email"`, `= "send-mail"`},
	{"event field renamed", "app/events.go",
		"TechnicianID  string `json:\"technicianId\"`", "TechnicianID  string `json:\"technician\"`"},
	{"event id without its generation", "app/events.go",
		`return fmt.Sprintf("%s-%d", requestID, generation)`, `return fmt.Sprintf("%s-%d", requestID, min(generation, 1))`},

	// Failures.
	{"SMTP error dropped", "app/inngest/functions/send_request_notification.go",
		"return classifySendError(r.Mailer.Send(ctx, message))", "_ = r.Mailer.Send(ctx, message)\n\treturn nil"},
	{"retry on a permanent error", "app/inngest/functions/outcome.go",
		"\t}\n\treturn inngestgo.NoRetryError(cause)\n}\n\n// updateNotification", "\t}\n\treturn cause\n}\n\n// updateNotification"},
	{"temporary refusal taken for good", "app/email/senderror.go",
		"e.Permanent = reply.Code >= 500", "e.Permanent = reply.Code >= 400"},
	{"failure without a reason", "app/notification.go",
		"\tn.Reason = causeText(reason)\n", ""},
	{"last attempt does not give back", "app/inngest/functions/outcome.go",
		"last := r.attempt >= maxAttempts", "last := r.attempt > maxAttempts"},

	// Nothing is lost.
	{"lost outbox entry", "app/notification.go",
		"\t\tNextDispatchAt: millis(now.Add(p.DispatchLease)),\n", ""},
	{"dispatched and forgotten", "app/notification.go",
		"n.NextDispatchAt = later(n.NextDispatchAt, n.lostAt(now, p))", "n.NextDispatchAt = time.Time{}"},
	{"refused by Inngest and forgotten", "app/notification.go",
		"n.NextDispatchAt = millis(retryAt)", "n.NextDispatchAt = time.Time{}"},
	{"lost run dispatched under its old id", "app/notification.go",
		"\t\tn.Generation++\n\t\tn.Claim = nil\n", "\t\tn.Claim = nil\n"},
	{"requeued under its old id", "app/notification.go",
		"\tn.Generation++\n\tn.Reason = \"\"\n", "\tn.Reason = \"\"\n"},
	{"new request not offered to the dispatcher", "app/httpapi/requests.go",
		"\ta.Offer(request)\n\tw.Header().Set(\"Location\"", "\tw.Header().Set(\"Location\""},

	// Nothing happens twice.
	{"doubled send", "app/inngest/functions/send_request_notification.go",
		"return classifySendError(r.Mailer.Send(ctx, message))", "_ = r.Mailer.Send(ctx, message)\n\treturn classifySendError(r.Mailer.Send(ctx, message))"},
	{"claim of another run ignored", "app/notification.go",
		"\tcase n.Claim != nil && n.Claim.RunID != run.ID:\n\t\treturn n, HeldByOther\n", ""},
	{"attempt in flight ignored", "app/notification.go",
		"\tcase n.Claim.inFlight(now):\n\t\treturn n, InFlight\n", ""},
	{"acceptance not recorded", "app/notification.go",
		"\tn.State = Sent\n\tn.SentAt", "\tn.SentAt"},
	{"acceptance not recorded later either", "app/inngest/functions/send_request_notification.go",
		"delivery.Unrecorded = true", "delivery.Unrecorded = false"},
	{"a Message-ID for each run", "app/email/notification.go",
		"MessageID: n.MessageID,", `MessageID: MessageID(n.RequestID+"."+n.RunID, "plant.test"),`},
	{"saved without comparing versions", "app/mongostore/store.go",
		`{Key: "notification.version", Value: expected}`, `{Key: "notification.version", Value: bson.D{{Key: "$lt", Value: expected + 1_000_000}}}`},

	// Permissions.
	{"unsigned calls believed", "app/inngest/client.go",
		"&o.Dev,", "func() *bool { dev := true; return &dev }(),"},
	{"API open to everybody", "app/httpapi/httpapi.go",
		`mux.Handle("POST /api/requests", a.authorized(a.create))`, `mux.HandleFunc("POST /api/requests", func(w http.ResponseWriter, r *http.Request) {
		if err := a.create(w, r); err != nil {
			a.fail(w, r, err)
		}
	})`},
	{"password sent in clear", "app/email/smtp.go",
		"!encrypted && !d.loopback()", "!encrypted && false"},
}
