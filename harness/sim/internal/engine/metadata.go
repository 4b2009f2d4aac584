package engine

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// Metadata is what is noted about a run or a step, of one kind: values with names. [Run].Metadata are those of a run.
type Metadata struct {
	Step    string // hashed id; empty: of the run
	Attempt int    // of the step, from 1, if it failed and was made again; 0: of the one that ended the step
	Scope   string // run, step, step_attempt, extended_trace
	Kind    string // such as userland.notes, inngest.score, inngest.ai, inngest.experiment
	Values  map[string]json.RawMessage
	Updated time.Time // virtual
}

// Limits of metadata.
const (
	maxMetadataUpdate = 64 << 10 // bytes of names and values
	maxMetadata       = 1 << 20  // of a run
	maxMetadataKind   = 128
)

// Errors of metadata.
var (
	ErrMetadataTooLarge = errors.New("metadata span exceeds maximum size")
	ErrMetadataFull     = errors.New("run cumulative metadata size exceeded")
)

// settable are the server's own kinds of metadata that apps may set.
var settable = []string{
	"inngest.ai", "inngest.http", "inngest.http.timing", "inngest.response_headers", "inngest.warnings", "inngest.experiment", kindScore,
}

const kindScore = "inngest.score"

// CheckMetadata reports why an app may not set metadata.
func CheckMetadata(u sdk.MetadataUpdate) error {
	switch {
	case len(u.Kind) > maxMetadataKind:
		return errors.New("invalid kind: kind exceeds maximum length")
	case strings.HasPrefix(u.Kind, "inngest.") && !slices.Contains(settable, u.Kind):
		return errors.New("inngest-prefixed kind is not in the allowlist")
	case u.Kind != kindScore:
		return nil
	}
	for name, raw := range u.Values {
		if err := checkScore(name, raw); err != nil {
			return err
		}
	}
	return nil
}

func checkScore(name string, raw json.RawMessage) error {
	if len(name) > maxMetadataKind || strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\'' }) {
		return fmt.Errorf("invalid score value: invalid score name %q", name)
	}
	var score struct {
		Value any `json:"value"`
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if d.Decode(&score) == nil {
		switch score.Value.(type) {
		case bool, float64:
			return nil
		}
	}
	return errors.New("invalid score value: score value must be a finite number or boolean")
}

// AddMetadata notes something about a run that is kept, or a step of it. Of a run that is not kept nothing is noted.
func (e *Engine) AddMetadata(runID, stepHash string, attempt int, scope string, updates []sdk.MetadataUpdate) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.m.runs.find(runID)
	if r == nil {
		r = &run{}
	}
	for _, u := range updates {
		if err := r.noteMetadata(Metadata{Step: stepHash, Attempt: attempt, Scope: scope, Kind: u.Kind, Updated: e.m.clock.Now()}, u); err != nil {
			return err
		}
	}
	return nil
}

// noteMetadata changes the metadata of that kind, of the run or the step. Values that readers may have stay as they are.
func (r *run) noteMetadata(about Metadata, u sdk.MetadataUpdate) error {
	r.makeRare()
	size := 0
	for k, v := range u.Values {
		size += len(k) + len(v)
	}
	if size > maxMetadataUpdate {
		return ErrMetadataTooLarge
	}
	if r.rare.metadataSize+size > maxMetadata {
		return ErrMetadataFull
	}
	r.rare.metadataSize += size
	i := slices.IndexFunc(r.rare.metadata, func(m Metadata) bool {
		return m.Step == about.Step && m.Attempt == about.Attempt && m.Kind == about.Kind
	})
	if i < 0 {
		i, r.rare.metadata = len(r.rare.metadata), append(r.rare.metadata, about)
	}
	about.Values = combine(r.rare.metadata[i].Values, u)
	r.rare.metadata[i] = about
	return nil
}

// combine returns what an update makes of values.
func combine(old map[string]json.RawMessage, u sdk.MetadataUpdate) map[string]json.RawMessage {
	values := map[string]json.RawMessage{}
	if u.Op != "set" {
		maps.Copy(values, old)
	}
	for k, v := range u.Values {
		switch u.Op {
		case "delete":
			delete(values, k)
		case "add":
			var a, b float64
			if json.Unmarshal(values[k], &a) == nil && json.Unmarshal(v, &b) == nil {
				v, _ = json.Marshal(a + b) // numbers
			}
			values[k] = v
		default:
			values[k] = v
		}
	}
	return values
}

// noteOp notes what an opcode says beside its result: metadata, the variant of an experiment, that it is about AI. attempt is that
// of one that is made again, else 0. What is over the limits is left out, as on the server.
func (r *run) noteOp(o *sdk.Op, attempt int, now time.Time) {
	for _, u := range o.Metadata {
		about := Metadata{Step: o.ID, Attempt: attempt, Scope: cmp.Or(u.Scope, "step_attempt"), Kind: u.Kind, Updated: now}
		if u.Scope == "run" {
			about.Step, about.Attempt = "", 0
		}
		_ = r.noteMetadata(about, u)
	}
	if !bytes.Contains(o.Opts, []byte("experimentName")) && !bytes.Contains(o.Opts, []byte("step.ai.wrap")) {
		return
	}
	var opts struct {
		Type       string `json:"type"`
		Experiment string `json:"experimentName"`
		Variant    string `json:"variant"`
		Strategy   string `json:"selectionStrategy"`
	}
	if o.Options(&opts) != nil {
		return
	}
	r.HasAI = r.HasAI || opts.Type == "step.ai.wrap"
	if opts.Experiment != "" && !o.Op.Plans() {
		r.noteValues(o.ID, attempt, "step", "inngest.experiment", now, map[string]any{
			"name": opts.Experiment, "variant": opts.Variant, "selection_strategy": opts.Strategy,
		})
	}
}

// noteValues notes metadata of the server's own.
func (r *run) noteValues(step string, attempt int, scope, kind string, now time.Time, values map[string]any) {
	u := sdk.MetadataUpdate{Kind: kind, Values: map[string]json.RawMessage{}}
	for k, v := range values {
		u.Values[k], _ = json.Marshal(v) // texts and numbers
	}
	_ = r.noteMetadata(Metadata{Step: step, Attempt: attempt, Scope: scope, Kind: kind, Updated: now}, u)
}

// noteInference notes what an AI request was and what it used, as far as its answer says so.
func (f *fetching) noteInference(a *answer) {
	var opts struct {
		Format string `json:"format"`
		Body   struct {
			Model string `json:"model"`
		} `json:"body"`
	}
	var result struct {
		Model string `json:"model"`
		Usage struct {
			Prompt     int64 `json:"prompt_tokens"` // as OpenAI counts them, and below as Anthropic does
			Completion int64 `json:"completion_tokens"`
			In         int64 `json:"input_tokens"`
			Out        int64 `json:"output_tokens"`
		} `json:"usage"`
	}
	if f.op.Options(&opts) != nil || json.Unmarshal(a.Body, &result) != nil {
		return
	}
	on, attempt := f.on, 0
	if (a.err != nil || a.Status > 299) && on.it.canRetry() {
		attempt = on.it.failures + 1
	}
	in, out := cmp.Or(result.Usage.Prompt, result.Usage.In), cmp.Or(result.Usage.Completion, result.Usage.Out)
	on.r.noteValues(f.op.ID, attempt, "step_attempt", "inngest.ai", on.now, map[string]any{
		"request_model": opts.Body.Model, "response_model": result.Model, "provider": opts.Format, "operation_name": "",
		"input_tokens": in, "output_tokens": out, "total_tokens": in + out,
	})
	on.r.noteValues(f.op.ID, attempt, "step_attempt", "inngest.http", on.now, map[string]any{
		"method": f.req.Method, "domain": f.req.URL.Host, "path": f.req.URL.Path, "request_content_type": "application/json",
		"response_content_type": "application/json", "response_size": len(a.Body), "response_status": a.Status,
	})
}
