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

// mutants are plausible defects of the app, and of the harness. A test must catch each.
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
		`return link + "?sig=" + sign(l.keys[0], requestID)`, `return link`},

	// Operation.
	{"no drain before the listener closes", "app/service/service.go", // TestRun_DrainsBeforeItRefusesCalls
		"case <-time.After(s.config.DrainDelay):", "case <-time.After(0):"},
	{"a draining instance says that it is ready", "app/service/service.go", // TestRun_DrainsBeforeItRefusesCalls
		"s.draining.Store(true)", "s.draining.Store(false)"},
	{"the line end of a secret's file belongs to the secret", "app/config/config.go", // TestParse_ReadsSecretsFromFiles
		`value := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")`, `value := string(data)`},
	{"the file of a secret wins silently", "app/config/config.go", // TestParse_ReportsUnusableSecretFiles
		"case value != \"\":\n\t\tp.problem(v.Name, \"is set, and %s too: set one of them\", name)", "case false:"},

	{"the outbox is counted at each reading of the metrics", "app/telemetry/metrics.go", // TestWatch_AsksOnceInSeconds
		"if !w.at.IsZero() && now.Sub(w.at) < watchPause {", "if false {"},
	{"metrics show an old outbox while the database is away", "app/telemetry/metrics.go", // TestWatch_AsksOnceInSeconds
		"if seen.err != nil {", "if false {"},
	{"a refused email counts as a failure that is retried", "app/telemetry/wrap.go", // TestMailer_CountsOutcomesAndTimes
		"errors.AsType[*email.SendError](err); ok && e.Permanent {", "errors.AsType[*email.SendError](err); ok && !e.Permanent && false {"},
	{"a failed notification counts as unfinished", "app/mongostore/store.go", // the outbox in storetest.Run
		"oldest, err := s.find(ctx, in(app.Pending, app.Dispatched), ", "oldest, err := s.find(ctx, in(app.Pending, app.Dispatched, app.Failed), "},
	{"the email names no trace", "app/telemetry/wrap.go", // TestService_PassesTraceContextOn
		`traced.Headers["Traceparent"] = parent`, `traced.Headers["X-Trace"] = parent`},

	// The function, as Inngest sees it.
	{"missing step", "app/inngest/functions/send_request_notification.go",
		"technician, err := step.Run(ctx, StepGetTechnicianEmail, recordingFailure(r, StepGetTechnicianEmail, func(ctx context.Context) (TechnicianEmail, error) {\n\t\treturn r.technician(ctx, details.TechnicianID)\n\t}))",
		"technician, err := recordingFailure(r, StepGetTechnicianEmail, func(ctx context.Context) (TechnicianEmail, error) {\n\t\treturn r.technician(ctx, details.TechnicianID)\n\t})(ctx)"},
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
		"n.NextDispatchAt = later(n.NextDispatchAt, n.confirmAt(now, p))", "n.NextDispatchAt = time.Time{}"},
	{"refused by Inngest and forgotten", "app/notification.go",
		"n.NextDispatchAt = millis(retryAt)", "n.NextDispatchAt = time.Time{}"},
	{"lost run dispatched under its old id", "app/notification.go",
		"\tn.Generation++\n\tn.Claim = nil\n", "\tn.Claim = nil\n"},
	{"run that exists dispatched again", "app/dispatch/dispatcher.go",
		"\t\tcase has:\n", "\t\tcase has && false:\n"},
	{"run that does not exist left alone", "app/dispatch/dispatcher.go",
		"return n.NotBegun(event, time.Now(), d.o.Pace)", "return n.Begun(event, d.o.Pace)"},
	{"unanswered question taken for no run", "app/dispatch/dispatcher.go",
		"return n.NotConfirmed(event, time.Now(), d.o.Pace)", "return n.NotBegun(event, time.Now(), d.o.Pace)"},
	{"run asked for although it has claimed", "app/notification.go",
		"\tn.Attempts++\n\tn.EventID = \"\"\n", "\tn.Attempts++\n"},
	{"unconfirmed notification dispatched without asking", "app/notification.go",
		`unconfirmed := n.EventID != "" && now.Before(n.lostAt(n.DispatchedAt, p))`, "unconfirmed := false"},
	{"lost only if the server says so", "app/notification.go",
		`n.EventID != "" && now.Before(n.lostAt(n.DispatchedAt, p))`, `n.EventID != ""`},
	{"requeued under its old id", "app/notification.go",
		"\tn.Generation++\n\tn.Reason = \"\"\n", "\tn.Reason = \"\"\n"},
	{"new request not offered to the dispatcher", "app/httpapi/requests.go",
		"\tcase err == nil:\n\t\ta.Offer(request)\n", "\tcase err == nil:\n"},
	{"key kept without its request", "app/httpapi/requests.go",
		"\t} else if found {\n\t\treturn a.created(w, r, request)\n", "\t} else if found {\n\t\treturn answer(w, http.StatusCreated, request)\n"},

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
	{"retry of a call creates a second request", "app/httpapi/key.go",
		"\treturn earlier.Request, true, nil", "\treturn earlier.Request, false, nil"},
	{"call that lost the race creates a second request", "app/httpapi/key.go",
		"if !errors.Is(err, app.ErrConflict) {\n\t\treturn request, err", "if true {\n\t\treturn request, nil"},
	{"another body with the same key believed", "app/httpapi/key.go",
		"case earlier.Body != k.body:", "case false:"},
	{"key kept for ever", "app/httpapi/key.go",
		"case earlier.Request.CreatedAt.Before(keysExpired()):", "case false:"},
	{"saved without comparing versions", "app/mongostore/store.go",
		`{Key: "notification.version", Value: expected}`, `{Key: "notification.version", Value: bson.D{{Key: "$lt", Value: expected + 1_000_000}}}`},

	// Permissions.
	{"unsigned calls believed", "app/inngest/client.go",
		"&o.Dev,", "func() *bool { dev := true; return &dev }(),"},
	{"unsigned registrations believed", "app/inngest/client.go",
		"return client, o.serve(client, false), nil", "return client, o.serve(client, true), nil"},
	{"unsigned registrations as the environment says", "app/inngest/client.go",
		"opts := inngestgo.ServeOpts{EnableUnauthedSync: &unsigned}", "opts := inngestgo.ServeOpts{}\n\tif unsigned {\n\t\topts.EnableUnauthedSync = &unsigned\n\t}"},
	{"address of the Host header registered", "app/inngest/client.go",
		"opts.Origin, opts.Path = &origin, &path", "opts.Path = &path\n\t\t_ = origin"},
	{"sync believes what it sent", "app/service/sync.go",
		"if missing := without(ids, listed); len(missing) > 0 {\n\t\treturn fmt.Errorf(", "if missing := without(ids, listed); len(missing) < 0 {\n\t\treturn fmt.Errorf("},
	{"ready without being registered", "app/service/sync.go",
		"if s.config.Dev() || seen.Load() {", "if true {"},
	{"not ready while Inngest is away", "app/service/sync.go",
		"\t\t\ts.logger.Warn(\"cannot see whether the app is registered with Inngest\", \"error\", err)\n\t\t\treturn \"\"\n", "\t\t\treturn err.Error()\n"},
	{"first token only", "app/httpapi/httpapi.go",
		"for i, token := range a.Tokens {", "for i, token := range a.Tokens[:min(1, len(a.Tokens))] {"},
	{"one rate for all tokens", "app/httpapi/httpapi.go",
		"!a.limits[token].Allow()", "!a.limits[0*token].Allow()"},
	{"API open to everybody", "app/httpapi/httpapi.go",
		`mux.Handle("POST /api/requests", a.authorized(a.create))`, `mux.HandleFunc("POST /api/requests", func(w http.ResponseWriter, r *http.Request) {
		if err := a.create(w, r); err != nil {
			a.fail(w, r, err)
		}
	})`},
	{"password sent in clear", "app/email/smtp.go",
		"!encrypted && !d.loopback()", "!encrypted && false"},

	// Seen only where the store is slow, or many requests come at once.
	{"failure recorded by the call's own time", "app/inngest/functions/outcome.go",
		"ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout(r.SendTimeout))", "ctx, cancel := context.WithTimeout(ctx, recordTimeout(r.SendTimeout))"},
	{"failure recorded however long it takes", "app/inngest/functions/outcome.go",
		"ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout(r.SendTimeout))", "ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))"},
	{"database away taken for an unknown technician", "app/inngest/functions/send_request_notification.go",
		"	if errors.Is(err, app.ErrNotFound) {\n\t\treturn TechnicianEmail{}", "	if err != nil {\n\t\treturn TechnicianEmail{}"},
	{"acceptance tried once", "app/inngest/functions/outcome.go",
		"\t\tif err == nil {\n\t\t\treturn nil\n\t\t}\n\t\tselect {", "\t\tif true {\n\t\t\treturn err\n\t\t}\n\t\tselect {"},
	{"deadline not shortened by a slow claim", "app/inngest/functions/send_request_notification.go",
		"; deadline.After(latest) {", "; false && deadline.After(latest) {"},
	{"dispatch recorded however long it takes", "app/dispatch/dispatcher.go",
		"ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)", "ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))"},
	{"late answer for an older dispatch believed", "app/notification.go",
		"if n.State != Pending || n.Generation != generation || n.Claim != nil {", "if n.State != Pending || n.Claim != nil {"},
	{"offers of a burst replaced", "app/dispatch/dispatcher.go",
		"d.offered = append(d.offered, r)", "d.offered = []app.Request{r}"},
	{"offers of a burst kept without bound", "app/dispatch/dispatcher.go",
		"if len(d.offered) < backlog {", "if true {"},
	{"offer during a send not noticed", "app/dispatch/dispatcher.go",
		"wake: make(chan struct{}, 1)", "wake: make(chan struct{})"},
	{"due requests wait for the last offer", "app/dispatch/dispatcher.go",
		"if !time.Now().Before(nextScan) {", "if round.sent.Load() == 0 && !time.Now().Before(nextScan) {"},
	{"one page of due requests a second", "app/dispatch/dispatcher.go",
		"return len(due) == limit", "return false"},
	{"stop does not wait for calls", "app/service/calls.go",
		"\t\tc.pending.Wait()\n", ""},

	// The harness: each would make a verdict wrong.
	{"an open call is forgotten", "harness/internal/follow/trace.go",
		"\t\tcase calls.open > 0:\n", "\t\tcase false:\n"},
	{"a call that the server hung up on is forgotten", "harness/internal/follow/trace.go",
		"case time.Since(calls.abandoned) < cutPatience:", "case false:"},
	{"an open delivery is forgotten", "harness/internal/follow/trace.go",
		"if len(d.To) > 0 && !d.Accepted && (runs[d.RunID] || unnamed) {", "if len(d.To) < 0 && !d.Accepted && (runs[d.RunID] || unnamed) {"},
	{"an event about to be shown is forgotten", "harness/internal/follow/trace.go",
		`if r.awaited != "" && !f.src.idle() {`, "if false {"},
	{"a function that may yet start is forgotten", "harness/internal/follow/trace.go",
		"waiting && !f.src.idle() {", "waiting && false {"},
	{"handlers of cancelled runs are not followed", "harness/internal/follow/events.go",
		"ends = append(ends, sdk.EventFunctionCancelled)", "_ = sdk.EventFunctionCancelled"},
	{"handlers of failed runs are not followed", "harness/internal/follow/events.go",
		"ends = append(ends, sdk.EventFunctionFailed)", "_ = sdk.EventFunctionFailed"},
	{"invoked functions are not followed", "harness/internal/follow/events.go",
		`if s.Op == "INVOKE" {`, `if s.Op == "" {`},
	{"events sent outside steps are not followed", "harness/internal/follow/outside.go",
		"\t\t\tl.add(e, subscribed)\n\t\t\tl.events[len(l.events)-1].inferred = true\n\t\t\tadded = true\n", "\t\t\t_ = added\n"},
	{"what others sent is an effect of the run", "harness/internal/follow/ledger.go",
		"return !within && (seen && awaited || !seen && allTapped)", "return false && (within || seen || awaited || allTapped)"},
	{"a failure explains an email too many", "harness/judge/chain.go",
		"c.differences[len(c.differences)-1].excess = true", "_ = hop"},
	{"the condition of a trigger is not evaluated", "harness/internal/follow/starts.go",
		`case trigger.Expression == "" || holds == true:`, "case holds == true || true:"},
	{"an event that was sent twice starts twice", "harness/internal/follow/starts.go",
		"if runs, err := s.runsOf(ctx, other); err != nil || len(runs) > 0 {", "if runs, err := s.runsOf(ctx, other); err != nil || len(runs) > 1_000_000 {"},
	{"attempts that only the taps saw are not counted", "harness/internal/follow/attempts.go",
		"for _, e := range seen[:max(0, len(seen)-len(recorded))] {", "for _, e := range seen[:0] {"},
	{"a trigger without wildcards", "harness/internal/sdk/ids.go",
		`return ok && strings.HasPrefix(name, prefix) && (strings.HasSuffix(prefix, "/") || strings.HasSuffix(prefix, "."))`, "return ok && name == prefix"},
	{"a skipped run never ends", "harness/status.go",
		" || s == StatusSkipped\n", "\n"},
	{"addresses differ by case", "harness/internal/address/address.go",
		"a = strings.ToLower(norm.NFC.String(a))", "a = norm.NFC.String(a)"},
	{"a denial is judged too early", "harness/judge/judge.go",
		"case j.trace.Quiet || !j.expectation.Denies():", "case true:"},
	{"an unattributed email is forgotten", "harness/judge/judge.go",
		"if j.expectation.NoOtherMail && j.trace.UnattributedMail > 0 {", "if false {"},
	{"one run is enough for two entries", "harness/judge/runs.go",
		"slices.Contains(assigned, r) })\n\t\tif assigned[i] == nil", "false })\n\t\tif assigned[i] == nil"},
	{"an unexpected run is allowed", "harness/judge/runs.go",
		"if want == nil && j.expectation.NoOtherRuns && r.Status != harness.StatusSkipped {", "if false {"},
	{"an unexpected email is allowed", "harness/judge/mail.go",
		"if j.matched[m] || !j.expectation.NoOtherMail {", "if true {"},
	{"copies are not counted", "harness/judge/mail.go",
		"if want.Copies > 0 && len(emails) != want.Copies {", "if false {"},
	{"copies with other ids are one email", "harness/judge/mail.go",
		"case len(ids) > 1:", "case false:"},
	{"only the first recipient gets an email", "harness/judge/mail.go",
		"\t\tfor n, to := range m.Envelope.To {\n", "\t\tfor n, to := range m.Envelope.To[:min(1, len(m.Envelope.To))] {\n"},
	{"an email of an unknown run counts", "harness/judge/mail.go",
		`if m.WrongRun != "" {`, "if false {"},
	{"one item is enough for two entries", "harness/judge/match.go",
		"if _, owned := m.owner[item]; !owned && m.fits(entry, item) {\n\t\t\tm.owner[item] = entry", "if m.fits(entry, item) {\n\t\t\tm.owner[item] = entry"},
	{"steps with one id are one step", "harness/judge/runs.go",
		"\treturn earlier == want.Occurrence-1\n", "\treturn true\n"},
}
