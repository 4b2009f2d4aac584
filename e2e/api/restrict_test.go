package api_test

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// The forms of texts.
const (
	// addressForm is nearly what package address takes for one address alone.
	addressForm = `^\s*(".*"@|[^\s,;:@][^\s,;:]*@)?[^\s,;@]*[^\s,;@>]\s*$`
	headerForm  = `^[!-9;-~]+$`
	sha256Form  = `^[0-9A-Fa-f]{64}$`
	eventIDForm = `^[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}$`
	// directoryForm is an absolute path on any system.
	directoryForm = `^(/|\\\\|[A-Za-z]:[/\\])`
	lineForm      = `^[^\r\n]*$`
)

// restrict adds to a definition what its type does not say.
func restrict(name string, d *schema) {
	switch name {
	case "Event":
		topOfFile(d)
		d.Required = []string{"name"}
		notEmpty(d, "name")
		ts := property(d, "ts")
		ts.Minimum, ts.Maximum = "-9223372036854775808", "9223372036854775807"
		object := &schema{Type: "object"}
		with(d, "data", schema{AnyOf: []*schema{object, null()}})
		with(d, "user", schema{AnyOf: []*schema{object, null()}})
	case "Expectation":
		topOfFile(d)
		asserting(d)
		d.AnyOf = []*schema{required("runs"), required("mail"), on("noOtherRuns"), on("noOtherMail")}
	case "RunExpectation", "StepExpectation":
		asserting(d)
	case "FileExpectation":
		asserting(d)
		with(d, "sha256", schema{Type: "string", Pattern: sha256Form})
	case "MailExpectation":
		asserting(d)
		for _, n := range []string{"to", "from"} {
			with(d, n, schema{Type: "string", Pattern: addressForm})
		}
		for _, n := range []string{"cc", "replyTo", "bcc"} {
			address := &schema{Type: "string", Pattern: addressForm}
			with(d, n, schema{AnyOf: []*schema{address, atLeastOne(listOf(address))}})
		}
		with(d, "problems", schema{Type: "string", Enum: []any{harness.NoProblems}})
		headers, _ := d.Properties.Get("headers")
		headers.PropertyNames = &schema{Pattern: headerForm}
		d.AllOf = []*schema{{If: on("absent"), Then: only(d, "to", "absent")}}
	case "Texts":
		d.AnyOf = []*schema{atLeastOneLetter(), atLeastOne(listOf(atLeastOneLetter()))}
	case "Match":
		d.AnyOf[1] = atLeastOne(listOf(atLeastOneLetter()))
	case "MatchFields":
		notEmpty(d, "matches")
		d.AnyOf = []*schema{required("equals"), required("contains"), required("matches"), on("present"), on("absent")}
		d.AllOf = []*schema{{If: on("absent"), Then: only(d, "absent")}}
	case "Fault":
		topOfFile(d)
		restrictFault(d)
	case "Interventions":
		topOfFile(d)
		for _, n := range []string{"replace", "faults", "stubs", "removeStubs"} {
			d.AnyOf = append(d.AnyOf, must(having(n, &schema{MinItems: number(1)}), n))
		}
		property(d, "removeStubs").Items = atLeastOneLetter()
	case "StepReplacement":
		d.Required = []string{"step"}
		notEmpty(d, "step")
	case "StepOutcome":
		notEmpty(d, "error")
		d.AnyOf = []*schema{required("value"), required("error")}
		d.AllOf = []*schema{{
			If: required("error"), Then: having("value", null()),
			Else: having("noRetry", off(), "retryAfter", never()),
		}}
	case "CallFault":
		notZero(d, "late")
		d.OneOf = []*schema{on("lose"), on("twice"), required("late")}
	case "Stub":
		for _, n := range []string{"id", "function", "step", "url", "error"} {
			notEmpty(d, n)
		}
		within(d, "status", 200, 599)
		d.AnyOf = []*schema{required("function"), required("step"), required("url")}
		d.AllOf = []*schema{{If: required("error"), Then: having("status", never(), "headers", never(), "body", null())}}
	case "GoldenReplacement":
		d.Required = nil
		notEmpty(d, "old")
		d.OneOf = []*schema{required("old"), required("pattern")}
	case "Question":
		with(d, "eventId", schema{Type: "string", Pattern: eventIDForm})
		with(d, "event", *ref("Event"))
		with(d, "expectation", *ref("Expectation"))
		d.OneOf = []*schema{required("eventId"), required("event")}
	case "Skip":
		d.OneOf = []*schema{required("by"), required("until")}
		notZero(d, "by")
		notEmpty(d, "run")
		notEmpty(d, "event")
	case "Invocation":
		notEmpty(d, "function")
		with(d, "data", schema{Type: "object"})
	case "Goldens":
		property(d, "dir").Pattern = directoryForm
	case "Comparison":
		property(d, "dir").Pattern = directoryForm
		notEmpty(d, "name")
		notEmpty(d, "mail")
	case "TestName", "TestEnd":
		notEmpty(d, "suite")
		notEmpty(d, "name")
		if outcome, ok := d.Properties.Get("outcome"); ok {
			outcome.Enum = []any{"passed", "failed", "skipped"}
			property(d, "report").Pattern = directoryForm
			property(d, "evidence").Pattern = directoryForm
		}
	case "Failure":
		with(d, "code", schema{Type: "string", Enum: []any{"invalid", "unauthorized", "refused", "not-found", "not-allowed", "unsupported", "too-large", "failed"}})
	case "SMTPLine":
		with(d, "by", schema{Type: "string", Enum: []any{"app", "server", "tap"}})
	case "Part":
		d.Properties.Set("size", &schema{Type: "integer", Description: "size is the number of bytes in data."})
		d.Required = append(d.Required, "size")
	}
}

// restrictFault finds out by asking [tap.Fault.Validate] which fields make sense where.
func restrictFault(d *schema) {
	within(d, "chance", 0, 1)
	for _, n := range []string{"attempt", "bytes", "skip", "rate"} {
		atLeast(d, n, 0)
	}
	within(d, "code", 200, 599)
	property(d, "to").Pattern = addressForm
	notZero(d, "for")
	parameters := map[string]any{"for": time.Second.String(), "code": 451, "text": "x", "rate": 1, "concurrent": true, "second": true}
	matchers := map[string]any{"function": "f", "run": "r", "attempt": 1, "step": "s", "after": "a", "event": "e", "to": "kim@plant.test", "bytes": 1}
	valid := func(fields map[string]any) bool {
		data, err := json.Marshal(fields)
		if err != nil {
			panic(err)
		}
		var f tap.Fault
		return json.Unmarshal(data, &f) == nil && f.Validate() == nil
	}
	for _, r := range tap.Rules() {
		then := having("do", &schema{Enum: anys(r.Actions)})
		if r.At == tap.AtStep {
			then.Required = []string{"step"}
			then.Properties.Set("step", atLeastOneLetter())
		}
		for _, m := range sorted(matchers) {
			if !slices.Contains(r.Match, m) {
				then.Properties.Set(m, never())
			}
		}
		d.AllOf = append(d.AllOf, &schema{If: is("at", r.At), Then: then})
	}
	for _, do := range values(typeOf[tap.Action]()) {
		// The fault is at the first point where it can do this, with what that needs.
		var at tap.Rule
		for _, r := range tap.Rules() {
			if slices.Contains(r.Actions, do.(tap.Action)) {
				at = r
				break
			}
		}
		fault := map[string]any{"at": at.At, "do": do}
		then := having()
		for _, p := range sorted(parameters) {
			if valid(fault) {
				break
			}
			if fault[p] = parameters[p]; !valid(fault) {
				delete(fault, p)
				continue
			}
			then.Required = []string{p}
		}
		if !valid(fault) {
			panic("the generator finds no valid fault that does " + string(do.(tap.Action)))
		}
		for _, values := range []map[string]any{matchers, parameters} {
			for _, n := range sorted(values) {
				if _, set := fault[n]; set || values[n] == nil {
					continue
				}
				_, matcher := matchers[n]
				if matcher && !slices.Contains(at.Match, n) {
					continue
				}
				if fault[n] = values[n]; !valid(fault) {
					then.Properties.Set(n, never())
				}
				delete(fault, n)
			}
		}
		d.AllOf = append(d.AllOf, &schema{If: is("do", do), Then: then})
	}
	smtp := []any{tap.AtConnect, tap.AtEHLO, tap.AtSTARTTLS, tap.AtAUTH, tap.AtMAIL, tap.AtRCPT, tap.AtDATA, tap.AtBody, tap.AtDot, tap.AtQUIT}
	d.AllOf = append(d.AllOf,
		&schema{If: having("at", &schema{Enum: smtp}), Then: having("text", &schema{Pattern: lineForm})},
		&schema{If: is("at", tap.AtConnect), Then: having("code", &schema{Minimum: "400"})})
}
