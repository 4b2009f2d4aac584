package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/attach"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/poll"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/strictjson"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// A smokeTest is the content of a FILE of `harness smoke`, as it was written: texts in it may have placeholders.
type smokeTest struct {
	// Request is sent to the app, which must send Event. Nil: Event is sent to Inngest.
	Request *smokeRequest `json:"request"`
	// Event has at least the given data, and the given id.
	Event       json.RawMessage `json:"event"`
	Expectation json.RawMessage `json:"expectation"`
}

type smokeRequest struct {
	Method  string            `json:"method"` // default: POST
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

type smokeOptions struct {
	timeout   time.Duration
	junit     string
	runHeader string
	json      bool
}

func smokeCommand(std stdio) *cobra.Command {
	var o smokeOptions
	cmd := &cobra.Command{
		Use:        "smoke FILE",
		SuggestFor: []string{"e2e", "healthcheck"},
		Short:      "try a deployed app: one request or event, and a verdict on what follows",
		Long: `smoke tries an app in staging or production. FILE says what to send and what to expect:

  {"request": {"url": "https://app.example/api/requests", "headers": {"Authorization": "Bearer ${env.API_TOKEN}"},
               "body": {"subject": "smoke test ${salt}", "technicianId": "66f0"}},
   "event": {"name": "maintenance/request.created", "data": {"requestId": "${response.id}"}},
   "expectation": {"runs": [{"function": "send-request-notification", "status": "COMPLETED"}]}}

The request is sent to the app with POST, or with its "method", and the app must then send the event, which
has at least this data. Without a request, the event is sent to Inngest. In every text ${salt} stands for a
random text, new each time, so that the test can be repeated; ${env.NAME} for a variable of the environment;
${response.FIELD} for a field of the JSON that the app answered to the request, which keeps its type where it
is the whole text. After a request, the event's id or data must have ${salt} or ${response.FIELD}, so that no
earlier event is taken for this one. An expectation is what 'harness expect' takes.

The Inngest server is the one in HARNESS_INNGEST_URL, for Inngest Cloud https://api.inngest.com, with the keys
in INNGEST_EVENT_KEY and INNGEST_SIGNING_KEY. Emails are read from HARNESS_MAIL_URL, if it is set. Nothing is
changed but by the request or the event.`,
		Example: `  HARNESS_INNGEST_URL=https://inngest.example harness smoke smoke.json
  harness smoke smoke.json --timeout 2m --junit smoke.xml
  harness smoke smoke.json --json | jq -r .why`,
		Annotations: exitStatus("0  it holds\n1  it is broken; the verdict on standard output says where\n2  it could not be " +
			"judged, or the question was wrong: a bad file, no server"),
		Args: between(1, 1, "one file, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := smokeReported(cmd.Context(), std, o, args[0])
			if err != nil && !errors.As(err, new(exitError)) {
				return exitError{exitCannotBeJudged, err}
			}
			return err
		},
	}
	f := cmd.Flags()
	durationFlag(f, &o.timeout, "timeout", time.Minute, "how long to wait for the event, and then for what should follow")
	f.StringVar(&o.junit, "junit", "", "write the verdict as JUnit XML to this `FILE`, too")
	f.StringVar(&o.runHeader, "run-header", "", "`HEADER` of an email that names the run that sent it (default "+
		"\"X-Inngest-Run-Id\")")
	f.BoolVar(&o.json, "json", false, "print the verdict, with the whole trace, as JSON")
	cmd.ValidArgsFunction = completeFiles("json")
	return cmd
}

// smokeReported is smoke with its JUnit file, which says also that smoke could not run. It keeps no older file.
func smokeReported(ctx context.Context, std stdio, o smokeOptions, file string) error {
	if o.junit == "" {
		return smoke(ctx, std, o, file)
	}
	if err := os.Remove(o.junit); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the old verdict: %w", err)
	}
	began := time.Now()
	err := smoke(ctx, std, o, file)
	if _, none := os.Stat(o.junit); err != nil && errors.Is(none, os.ErrNotExist) {
		v := &harness.Verdict{Outcome: harness.CannotBeJudged, Why: err.Error()}
		return errors.Join(err, writeJUnit(o.junit, file, v, time.Since(began)))
	}
	return err
}

func smoke(ctx context.Context, std stdio, o smokeOptions, file string) error {
	if o.timeout <= 0 {
		return usagef("--timeout %v: it is a time to wait, as in 1m", o.timeout)
	}
	data, err := readFile(ctx, std, file)
	if err != nil {
		return err
	}
	test, err := parseSmoke(data, std.getenv)
	if err != nil {
		return fmt.Errorf("%s: %w", named(file), err)
	}
	began := time.Now()
	st, err := stack.Start(ctx, attach.New(attach.Options{Dir: *std.stack, AllowRemote: true}), stack.Options{
		WithoutTaps: true, RunHeader: o.runHeader, Services: inngestAndMail,
	})
	if isNoStack(err) {
		return fmt.Errorf("no Inngest server is named: set %s", attach.EnvInngest)
	}
	if err != nil {
		return err
	}
	defer st.Close(ctx)
	waiting := newPrinter(std).waiting("smoke", "waiting for what follows")
	verdict, err := test.run(ctx, st, o.timeout)
	waiting()
	if err != nil {
		return st.Redactor().Error(err)
	}
	if o.junit != "" {
		if err := writeJUnit(o.junit, file, verdict, time.Since(began)); err != nil {
			return err
		}
	}
	return printVerdict(std, verdict, o.json)
}

// parseSmoke reads a test, with its placeholders but those of a response filled in. It finds all mistakes that can be found
// before anything is sent.
func parseSmoke(data []byte, getenv func(string) string) (smokeTest, error) {
	var test smokeTest
	salt := strings.ToLower(rand.Text()[:10])
	fill := filler{"salt": salt}
	for _, m := range placeholder.FindAllStringSubmatch(string(data), -1) {
		name, isEnv := strings.CutPrefix(m[1], "env.")
		switch value := getenv(name); {
		case isEnv && value == "":
			return test, fmt.Errorf("the variable %s is not set, which ${%s} stands for", name, m[1])
		case isEnv:
			fill[m[1]] = value
		case m[1] != "salt" && !strings.HasPrefix(m[1], "response."):
			return test, fmt.Errorf("${%s} is no placeholder: there are ${salt}, ${env.NAME} and ${response.FIELD}", m[1])
		}
	}
	if err := strictjson.Decode(fill.in(data), &test); err != nil {
		return test, fmt.Errorf("%w: a smoke test is an object with the fields %s", err, strings.Join(jsonFields(test), ", "))
	}
	if test.Request != nil {
		if u, err := url.Parse(test.Request.URL); err != nil || u.Host == "" {
			return test, fmt.Errorf("request.url %q is no URL", test.Request.URL)
		}
	} else if placeholder.Match(test.Event) || placeholder.Match(test.Expectation) {
		return test, errors.New("without a request there is no ${response.FIELD}")
	}
	if len(test.Event) == 0 || len(test.Expectation) == 0 {
		return test, errors.New("it needs an event and an expectation")
	}
	event, err := harness.ParseEvent(test.Event)
	if err != nil {
		return test, fmt.Errorf("event: %w", err)
	}
	if identity, _ := json.Marshal([]any{event.IdempotencyKey, event.Data}); test.Request != nil &&
		!bytes.Contains(identity, []byte("${response.")) && !bytes.Contains(identity, []byte(salt)) {
		return test, errors.New("event: its id or data must have ${response.FIELD} or ${salt}, such as {\"data\": {\"requestId\": " +
			"\"${response.id}\"}}: else the event of an earlier request could be taken for this one's")
	}
	example := placeholder.ReplaceAll(test.Expectation, []byte("example"))
	if _, err := harness.ParseExpectation(example); err != nil {
		return test, err
	}
	return test, nil
}

var (
	placeholder      = regexp.MustCompile(`\$\{([A-Za-z0-9_.]+)\}`)
	wholePlaceholder = regexp.MustCompile(`"` + placeholder.String() + `"`)
)

// A filler has the values of placeholders. It leaves others as they are.
type filler map[string]any

// typed is in, but a string that is nothing but a placeholder becomes the value itself, such as a number.
func (f filler) typed(data []byte) []byte {
	return f.in(wholePlaceholder.ReplaceAllFunc(data, func(m []byte) []byte {
		switch value := f[string(placeholder.FindSubmatch(m)[1])].(type) {
		case json.Number, bool:
			return fmt.Append(nil, value)
		default: // a string stays within its quotes
			return m
		}
	}))
}

// in fills the placeholders in a JSON text. They stand in strings.
func (f filler) in(data []byte) []byte {
	return placeholder.ReplaceAllFunc(data, func(m []byte) []byte {
		value, ok := f[string(placeholder.FindSubmatch(m)[1])]
		if !ok {
			return m
		}
		quoted, _ := json.Marshal(fmt.Sprint(value)) // a string always can be
		return quoted[1 : len(quoted)-1]
	})
}

// run sends the request or the event, and judges what follows.
func (s smokeTest) run(ctx context.Context, st *stack.Stack, timeout time.Duration) (*harness.Verdict, error) {
	var eventID string
	if s.Request == nil {
		event, err := harness.ParseEvent(s.Event)
		if err != nil {
			return nil, err
		}
		ids, err := st.Send(ctx, event)
		if err != nil {
			return nil, err
		}
		eventID = ids[0]
	} else {
		began := time.Now()
		response, why, err := s.Request.send(ctx)
		if err != nil {
			return nil, err
		}
		if why != "" {
			return brokenBefore(st.Redactor().Text(why), time.Since(began)), nil
		}
		if err := s.fillResponse(response); err != nil {
			return nil, err
		}
		if eventID, err = s.awaitEvent(ctx, st.API(), began, timeout); err != nil {
			return nil, err
		}
		if eventID == "" {
			return brokenBefore(fmt.Sprintf("the app accepted the request, and sent no event %s within %v",
				st.Redactor().Text(string(s.Event)), timeout),
				time.Since(began)), nil
		}
	}
	expectation, err := harness.ParseExpectation(s.Expectation)
	if err != nil {
		return nil, err
	}
	return st.Judge(ctx, eventID, expectation, stack.JudgeOptions{Timeout: timeout})
}

// brokenBefore is the verdict of a test that has come to no event.
func brokenBefore(why string, took time.Duration) *harness.Verdict {
	return &harness.Verdict{
		Outcome: harness.Broken, Why: why, Took: took, Trace: &harness.Trace{Unquiet: why, Evidence: []string{}, Taken: time.Now()},
		Hops: []harness.Hop{{State: harness.HopBroken, Text: text.OneLine(why), First: true}},
	}
}

// smokeRequestTime bounds the request to the app.
const smokeRequestTime = 30 * time.Second

// send sends the request. why says how the app refused it.
func (r smokeRequest) send(ctx context.Context) (response []byte, why string, err error) {
	ctx, cancel := context.WithTimeout(ctx, smokeRequestTime)
	defer cancel()
	method := http.MethodPost
	if r.Method != "" {
		method = r.Method
	}
	req, err := http.NewRequestWithContext(ctx, method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range r.Headers {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Sprintf("the app cannot be reached: %v", err), nil
	}
	defer res.Body.Close()
	response, err = io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil || res.StatusCode/100 != 2 {
		return nil, fmt.Sprintf("the app answered %s %s with %s: %s", method, r.URL, res.Status,
			text.Clip(text.OneLine(string(response)), 300)), nil
	}
	return response, "", nil
}

// fillResponse fills in the fields of the app's answer.
func (s *smokeTest) fillResponse(response []byte) error {
	var fields any
	d := json.NewDecoder(bytes.NewReader(response))
	d.UseNumber()         // keeps all digits of an id
	_ = d.Decode(&fields) // an answer that is no JSON has no fields
	fill := filler{}
	for _, m := range placeholder.FindAllStringSubmatch(string(s.Event)+string(s.Expectation), -1) {
		value := fields
		for _, name := range strings.Split(strings.TrimPrefix(m[1], "response."), ".") {
			object, _ := value.(map[string]any)
			value = object[name]
		}
		switch value.(type) {
		case string, json.Number, bool:
			fill[m[1]] = value
		default:
			return fmt.Errorf("the app's answer has no field for ${%s}: %s", m[1], text.Clip(text.OneLine(string(response)), 300))
		}
	}
	expectation := fill.typed(s.Expectation)
	if _, err := harness.ParseExpectation(expectation); err != nil {
		expectation = fill.in(s.Expectation) // a number stands where only a text can, such as a subject
	}
	s.Event, s.Expectation = fill.typed(s.Event), expectation
	return nil
}

const (
	// smokePoll is how often the server is asked for the event, smokeSkew how much its clock may be behind.
	smokePoll, smokeSkew = time.Second / 2, time.Minute
)

// awaitEvent returns the ULID of the event that the app has sent because of the request; "" if there is none in time.
func (s smokeTest) awaitEvent(ctx context.Context, api *inngestapi.Client, began time.Time,
	timeout time.Duration) (id string, err error) {
	want, err := harness.ParseEvent(s.Event)
	if err != nil {
		return "", err
	}
	wantData, err := plain(want.Data)
	if err != nil {
		return "", err
	}
	waiting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	listed := false
	missing := poll.Until(waiting, smokePoll, func(ctx context.Context) error {
		events, err := api.Events(ctx, inngestapi.EventFilter{Since: began.Add(-smokeSkew), Names: []string{want.Name}})
		if err != nil && listed && ctx.Err() != nil {
			return errNoEvent // the time was up within the question
		}
		if err != nil {
			return err
		}
		listed = true
		for _, e := range events {
			data, _ := plain(e.Data) // the server wrote it
			if (want.IdempotencyKey == "" || want.IdempotencyKey == e.IdempotencyKey) && hasFields(data, wantData) {
				id = e.EventID // of several the first: they are listed from the newest
			}
		}
		if id == "" {
			return errNoEvent
		}
		return nil
	})
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case missing != nil && !errors.Is(missing, errNoEvent):
		return "", missing
	}
	return id, nil
}

var errNoEvent = errors.New("no such event")

// plain returns the data of an event as JSON has it.
func plain(data any) (fields map[string]any, err error) {
	encoded, err := json.Marshal(data)
	if err == nil {
		err = json.Unmarshal(encoded, &fields)
	}
	return fields, err
}

// hasFields reports whether data has at least the wanted fields.
func hasFields(data, want map[string]any) bool {
	for name, value := range want {
		if !reflect.DeepEqual(data[name], value) {
			return false
		}
	}
	return true
}

// writeJUnit writes a verdict as a test suite with one test.
func writeJUnit(path, name string, v *harness.Verdict, took time.Duration) error {
	type problem struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	type testCase struct {
		Name    string   `xml:"name,attr"`
		Class   string   `xml:"classname,attr"`
		Seconds string   `xml:"time,attr"`
		Failure *problem `xml:"failure,omitempty"`
		Error   *problem `xml:"error,omitempty"`
	}
	suite := struct {
		XMLName  xml.Name `xml:"testsuite"`
		Name     string   `xml:"name,attr"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Errors   int      `xml:"errors,attr"`
		Case     testCase `xml:"testcase"`
	}{Name: "smoke", Tests: 1, Case: testCase{Name: name, Class: "smoke", Seconds: fmt.Sprintf("%.3f", took.Seconds())}}
	switch v.Outcome {
	case harness.Broken:
		suite.Failures, suite.Case.Failure = 1, &problem{v.Why, v.String()}
	case harness.CannotBeJudged:
		suite.Errors, suite.Case.Error = 1, &problem{v.Why, v.String()}
	}
	data, err := xml.MarshalIndent(suite, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the verdict: %w", err)
	}
	if err := os.WriteFile(path, append([]byte(xml.Header), append(data, '\n')...), 0o644); err != nil {
		return fmt.Errorf("write the verdict: %w", err)
	}
	return nil
}
