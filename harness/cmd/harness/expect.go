package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/golden"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/jsontime"
	"github.com/odoo-maintenance/inngest-harness/harness/stackapi"
)

// exitCannotBeJudged is the exit status of expect for a question without an answer. exitFailed means a broken expectation.
const exitCannotBeJudged = 2

type expectOptions struct {
	eventID   string
	send      string
	timeout   time.Duration
	golden    string
	update    bool
	replace   []string
	runHeader string
	json      bool
}

func expectCommand(io stdio) *cobra.Command {
	var o expectOptions
	cmd := &cobra.Command{
		Use:        "expect (--event-id ID | --send EVENT.json) EXPECTATION.json",
		SuggestFor: []string{"assert", "judge", "verify", "check"},
		Short:      "judge what follows from an event",
		Long: `expect says whether what should have happened after an event did, and prints the verdict: the chain from
the event over its runs and steps to the emails, with a mark at the first broken hop.

What the expectation asserts holds as soon as it is so. What it denies (an absent email, no other runs
or emails, an exact number of copies) holds only when nothing more can happen. A field that is left out
asserts nothing. What has not happened in time is broken, unless the app itself waits for longer, in a sleep say: then
it cannot be judged. Beside 'harness up --watch', --send waits up to two minutes for a change to be up, and fails where
the app does not start with it. An example:

  {"runs": [{"function": "send-receipt", "status": "COMPLETED", "output": {"ok": true},
             "steps": [{"id": "charge", "attempts": 1}]}],
   "mail": [{"to": "kim@plant.test", "text": ["part"], "headers": {"X-Order": "17"}, "copies": 1, "checks": ["all"]},
            {"to": "lee@plant.test", "absent": true}],
   "noOtherRuns": true}`,
		Example: `  harness expect --send event.json expectation.json
  harness expect --event-id 01JDD9WRP1F5G1Y9ZVC4Q4XKZS expectation.json --timeout 30s
  harness expect expectation.json --send '{"name":"shop/order.paid","data":{"order":17}}'
  echo '{"mail":[{"to":"kim@plant.test"}]}' | harness expect --send event.json - --json | jq -r .why`,
		Annotations: map[string]string{
			"Exit status": "0  it holds\n1  it is broken; the verdict on standard output says where\n2  it could not be judged, or the question was wrong: a bad file, no stack, an unknown event",
			"Environment": `HARNESS_REPORT    a directory, in which the verdict is recorded as a test, and the report written: see harness report
HARNESS_EVIDENCE  a directory, in which a verdict that does not hold is kept with its emails and the logs
HARNESS_SUITE, HARNESS_TEST
                  what the test is called there (default: this directory's name, and the expectation's file)`,
			"Fields of an expectation": expectationFields(),
			"Checks of an email":       checkList(),
		},
		Args: between(1, 1, "one file with an expectation, or - for standard input, or JSON text"),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := expect(cmd.Context(), io, o, args[0])
			if err != nil && !errors.As(err, new(exitError)) {
				return exitError{exitCannotBeJudged, err}
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.eventID, "event-id", "", "judge the event with this `ID`: the ULID that sending it returned")
	f.StringVar(&o.send, "send", "", "send the event in this `FILE`, or - for standard input, or JSON text, and judge it")
	durationFlag(f, &o.timeout, "timeout", 10*time.Second, "how long to wait for what should happen")
	f.StringVar(&o.golden, "golden", "", "`DIR` with the golden emails that the expectation names")
	f.BoolVar(&o.update, "update", false, "write the golden emails that differ or do not exist yet; HARNESS_UPDATE=1 does the same")
	f.StringArrayVar(&o.replace, "replace", nil, "`OLD=NEW`: a value that differs from run to run, and what stands for it in golden emails; may be repeated;\n/PATTERN/=NEW replaces what a regular expression matches")
	f.StringVar(&o.runHeader, "run-header", "", "`HEADER` of an email that names the run that sent it (default \"X-Inngest-Run-Id\")")
	f.BoolVar(&o.json, "json", false, "print the verdict, with the whole trace, as JSON")
	must(cmd.MarkFlagFilename("send", "json"))
	must(cmd.MarkFlagDirname("golden"))
	cmd.ValidArgsFunction = completeFiles("json")
	return cmd
}

// expectationFields lists the fields of an expectation and of its parts, from their types.
func expectationFields() string {
	var b strings.Builder
	for _, part := range []struct {
		name string
		of   any
	}{
		{"", harness.Expectation{}}, {"runs", harness.RunExpectation{}}, {"steps", harness.StepExpectation{}},
		{"mail", harness.MailExpectation{}}, {"files", harness.FileExpectation{}}, {"texts", harness.Match{}},
	} {
		fmt.Fprintf(&b, "%-7s %s\n", part.name, strings.Join(jsonFields(part.of), ", "))
	}
	return b.String() + "Attachments and inlines are files. A text is a whole text, a list of parts of it, or an object with these fields.\n" + "`harness schema expectation` describes them, `harness help javascript` has a table of them"
}

// jsonFields returns the names that the fields of a struct have in JSON.
func jsonFields(of any) []string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeOf(of)) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}

// checkList lists the checks that an expectation can name.
func checkList() string {
	var b strings.Builder
	var byName []string
	for _, c := range harness.Checks() {
		fmt.Fprintf(&b, "%-12s %s\n", c.Check, c.Requires)
		if c.ByName {
			byName = append(byName, string(c.Check))
		}
	}
	fmt.Fprintf(&b, "%-12s all of these but %s, which finds what may be intended", harness.CheckAll, strings.Join(byName, ", "))
	return b.String()
}

func expect(ctx context.Context, io stdio, o expectOptions, file string) error {
	switch {
	case (o.eventID == "") == (o.send == ""):
		return usagef("say which event is meant: either --event-id ID or --send EVENT.json")
	case o.send == stdinName && file == stdinName:
		return usagef("event and expectation cannot both be standard input")
	case o.eventID != "" && !stackapi.IsEventID(o.eventID):
		return usagef("--event-id %q: it is the ULID that sending an event returned, 26 letters and digits", o.eventID)
	case o.timeout <= 0:
		return usagef("--timeout %v: it is a time to wait, as in 10s", o.timeout)
	}
	// The question is validated before an event is sent.
	data, err := readFile(ctx, io, file)
	if err != nil {
		return err
	}
	expectation, err := harness.ParseExpectation(data)
	if err != nil {
		return fmt.Errorf("%s: %w", named(file), err)
	}
	question := stackapi.Question{EventID: o.eventID, Timeout: jsontime.Duration(o.timeout)}
	if question.Expectation, err = json.Marshal(expectation); err != nil {
		return err
	}
	if question.Golden, err = o.goldens(); err != nil {
		return err
	}
	var events []harness.Event
	if o.send != "" {
		if events, err = readEvents(ctx, io, o.send); err != nil {
			return err
		}
		if len(events) != 1 {
			return fmt.Errorf("%s holds %d events: a verdict is about what follows from one", named(o.send), len(events))
		}
	}

	if len(events) == 1 {
		if question.Event, err = json.Marshal(events[0]); err != nil {
			return err
		}
	}
	test, err := testOf(io, file)
	if err != nil {
		return err
	}
	if test != nil {
		question.Test = &test.TestName
	}
	c, err := io.connect(ctx, inngestAndMail, o.runHeader)
	if err != nil {
		return err
	}
	defer c.close()
	noteStandIn(io, c)
	if question.Event != nil {
		if err := awaitChange(ctx, io, c); err != nil {
			return err
		}
	}
	done := newPrinter(io).waiting("expect", "waiting for what follows from the event")
	answer, err := c.Judge(ctx, question)
	done()
	if err != nil {
		return err
	}
	if test != nil {
		if err := c.record(ctx, *test, answer.Verdict); err != nil {
			return fmt.Errorf("record the verdict: %w", err)
		}
	}
	return printVerdict(io, answer.Verdict, o.json)
}

// awaitChange waits until the app is up with what has changed. An app that is not what its sources say is none to test.
func awaitChange(ctx context.Context, io stdio, c client) error {
	done := newPrinter(io).waiting("app", "waiting until the app is up with what has changed")
	defer done()
	up, err := c.Stack(ctx, 2*time.Minute)
	if err == nil && up.Outdated != "" {
		err = fmt.Errorf("the event was not sent: %s", up.Outdated)
	}
	return err
}

// goldens returns what the flags say about golden emails.
func (o expectOptions) goldens() (*stackapi.Goldens, error) {
	if o.golden == "" {
		if o.update || len(o.replace) > 0 {
			return nil, usagef("--update and --replace are about golden emails: add --golden DIR")
		}
		return nil, nil
	}
	dir, err := filepath.Abs(o.golden)
	if err != nil {
		return nil, err
	}
	g := &stackapi.Goldens{Dir: dir, Update: o.update || golden.UpdateWanted(), RunHeader: o.runHeader}
	for _, text := range o.replace {
		i := strings.LastIndex(text, "=")
		if i < 1 {
			return nil, usagef("--replace %q: give OLD=NEW, as in 'kim-17@plant.test={{recipient}}'", text)
		}
		r := golden.Replacement{Old: text[:i], New: text[i+1:]}
		if pattern := r.Old; len(pattern) > 2 && pattern[0] == '/' && pattern[len(pattern)-1] == '/' {
			r.Old = ""
			if r.Pattern, err = regexp.Compile(pattern[1 : len(pattern)-1]); err != nil {
				return nil, usagef("--replace %q: %w", text, err)
			}
		}
		g.Replace = append(g.Replace, r)
	}
	return g, nil
}

func printVerdict(io stdio, v *harness.Verdict, asJSON bool) error {
	if asJSON {
		if err := writeJSON(io.out, v); err != nil {
			return err
		}
	} else if _, err := fmt.Fprintln(io.out, io.paint(io.out).marks(safe(v.String()))); err != nil {
		return err
	}
	switch v.Outcome {
	case harness.Holds:
		return nil
	case harness.Broken:
		return exitError{exitFailed, nil}
	default:
		return exitError{exitCannotBeJudged, nil}
	}
}
