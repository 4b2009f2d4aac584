package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/strictjson"
)

// Stub is the answer to HTTP requests that the server makes for steps: those of step.fetch, and of AI inference. What is empty
// says nothing.
type Stub struct {
	// Function, Step and URL say to which requests: by the function's id, with or without the app's id and a dash before it, the
	// step's id in the code, and the address, in which "*" stands for anything. Empty: any.
	Function string `json:"function,omitempty"`
	Step     string `json:"step,omitempty"`
	URL      string `json:"url,omitempty"`
	// Times is how many requests it answers. Zero: all.
	Times int `json:"times,omitempty"`

	Status  int               `json:"status,omitempty"` // zero: 200
	Headers map[string]string `json:"headers,omitempty"`
	// Body is a text, or what is encoded as JSON.
	Body any `json:"body,omitempty"`
	// Error, in place of all that, makes the request fail, as when a connection breaks.
	Error string `json:"error,omitempty"`

	// ID is a name by which it can be taken away.
	ID string `json:"id,omitempty"`
}

// stub is a Stub at work.
type stub struct {
	Stub
	url  *regexp.Regexp
	body []byte
	left int // requests; negative: any number
}

func newStub(s Stub) (*stub, error) {
	if s.Step == "" && s.URL == "" && s.Function == "" {
		return nil, errors.New(`a stub says which requests it answers: by "step", "url" or "function"; {"url": "*"} answers all`)
	}
	if s.Error != "" && (s.Status != 0 || s.Body != nil || s.Headers != nil) {
		return nil, fmt.Errorf("the stub for %s has an error and an answer: leave one of them out", s.what())
	}
	if s.Status != 0 && (s.Status < 200 || s.Status > 599) {
		return nil, fmt.Errorf("the stub for %s has the status %d, which is none of an answer", s.what(), s.Status)
	}
	pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(s.URL), `\*`, ".*") + "$"
	if s.URL == "" {
		pattern = ""
	}
	out := &stub{Stub: s, url: regexp.MustCompile(pattern), left: s.Times}
	if s.Times <= 0 {
		out.left = -1
	}
	switch body := s.Body.(type) {
	case nil:
	case string:
		out.body = []byte(body)
	case []byte:
		out.body = body
	default:
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("the body of the stub for %s: %w", s.what(), err)
		}
		out.body = encoded
	}
	return out, nil
}

// Check reports what is wrong with a stub.
func (s Stub) Check() error {
	_, err := newStub(s)
	return err
}

func (s Stub) what() string {
	return strings.TrimSpace(strings.Join([]string{s.Function, s.Step, s.URL}, " "))
}

// ParseStubs reads a list of stubs from JSON.
func ParseStubs(data []byte) (stubs []Stub, err error) {
	if err := strictjson.Decode(data, &stubs); err != nil {
		return nil, err
	}
	for _, s := range stubs {
		if err := s.Check(); err != nil {
			return nil, err
		}
	}
	return stubs, nil
}

// SetStubs puts stubs in front of those that there are. They are tried in the sequence given. None takes all away.
func (e *Engine) SetStubs(stubs []Stub) error {
	var list []*stub
	for _, s := range stubs {
		one, err := newStub(s)
		if err != nil {
			return err
		}
		list = append(list, one)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if list != nil {
		list = append(list, e.m.interventions.stubs...)
	}
	e.m.interventions.stubs = list
	return nil
}

// removeStubs takes away the stubs with these ids.
func (e *Engine) removeStubs(ids []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.m.interventions.stubs = slices.DeleteFunc(slices.Clone(e.m.interventions.stubs), func(s *stub) bool { return slices.Contains(ids, s.ID) })
}

// stubbed returns the answer of the first stub for a request, or nil.
func (iv *interventions) stubbed(of *function, step string, target *url.URL) *answer {
	for i, s := range iv.stubs {
		if !of.named(s.Function) || s.Step != "" && s.Step != step || !s.url.MatchString(target.String()) {
			continue
		}
		if s.left--; s.left == 0 {
			iv.stubs = slices.Delete(slices.Clone(iv.stubs), i, i+1)
		}
		if s.Error != "" {
			return &answer{err: errors.New(s.Error)}
		}
		a := &answer{}
		a.Status, a.Body, a.Header = s.Status, s.body, http.Header{}
		if a.Status == 0 {
			a.Status = http.StatusOK
		}
		for k, v := range s.Headers {
			a.Header.Set(k, v)
		}
		return a
	}
	return nil
}
