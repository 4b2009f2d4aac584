package inngestapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// Run is one execution of a function.
type Run struct {
	ID       string // ULID
	Function string // the function's id, without the app's
	App      string // the app's id
	Status   harness.Status
	// Output is what the function returned, nil for null and for nothing; the server rounds numbers beyond 2⁵³. Of a
	// failed run there is Error instead.
	Output json.RawMessage
	Error  string
	// EventIDs are the ULIDs of the events that started it; of a batch a server without GraphQL names only one.
	EventIDs []string
	// Skipped says why the server skipped the run; empty for other runs.
	Skipped string
	// Times are zero as long as they are still to come.
	Queued, Started, Ended time.Time
}

// run is a run in GraphQL.
type run struct {
	ID         string
	Status     string
	QueuedAt   time.Time
	StartedAt  time.Time // zero: null
	EndedAt    time.Time // zero: null
	Output     *string
	TriggerIDs []string
	Function   struct{ Slug string }
	App        struct{ ExternalID string }
}

const runFields = "id status queuedAt startedAt endedAt output triggerIDs function{slug} app{externalID}"

func (r run) export() Run {
	out := Run{
		ID: r.ID, Status: status(r.Status), App: r.App.ExternalID, EventIDs: r.TriggerIDs, Queued: r.QueuedAt, Started: r.StartedAt,
		Function: sdk.SplitFunctionID(r.Function.Slug, r.App.ExternalID),
	}
	// A run that waits for its next attempt has an end too, that of the last one.
	if out.Status.Final() {
		out.Ended = r.EndedAt
	}
	if r.Output != nil && out.Status == harness.StatusFailed {
		out.Error = errorText([]byte(*r.Output))
	} else if r.Output != nil && out.Status == harness.StatusCompleted {
		out.Output = value(returned([]byte(*r.Output)))
	}
	return out
}

// status brings the server's several spellings to one.
func status(s string) harness.Status {
	switch s = strings.ToUpper(s); s {
	case "CANCELED":
		return harness.StatusCancelled
	case "SCHEDULED", "PENDING":
		return harness.StatusQueued
	case "WAITING", "SLEEPING":
		return harness.StatusRunning
	default:
		return harness.Status(s)
	}
}

// EventRuns returns the runs that an event started, in the order in which they were queued, or [ErrNotFound] for an
// event that the server does not show (yet). It is empty for an event that has not been picked up, that triggers no
// function, or whose idempotency key was used before: of two that are sent within a quarter of a second either may be the one
// that starts the runs, so look at both.
func (c *Client) EventRuns(ctx context.Context, eventID string) ([]Run, error) {
	var data struct {
		EventV2 struct{ Runs []struct{ ID string } }
	}
	err := c.query(ctx, "query($id:ULID!){eventV2(id:$id){runs{id}}}", map[string]any{"id": eventID}, &data)
	if errors.Is(err, errNoGraphQL) {
		var list []restRun
		if list, err = (rest{c}).eventRuns(ctx, eventID); err == nil {
			runs := make([]Run, len(list))
			for i, r := range list {
				runs[i] = r.export()
			}
			return runs, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list the runs of event %s: %w", eventID, err)
	}
	runs := make([]Run, len(data.EventV2.Runs))
	for i, listed := range data.EventV2.Runs {
		// What else the list says of a run comes some 100 ms after the run itself says so, in several pieces, and with another
		// end.
		runs[i], err = c.Run(ctx, listed.ID)
		if errors.Is(err, ErrNotFound) { // which would say that there is no such event
			err = fmt.Errorf("the Inngest server lists run %s and does not show it", listed.ID)
		}
		if err != nil {
			return nil, fmt.Errorf("list the runs of event %s: %w", eventID, err)
		}
	}
	return runs, nil
}

// outputLag bounds how long a run that has ended is asked again for what it came to. There is always something: a
// function that returns nothing has the output null.
const (
	outputLag   = 2 * time.Second
	outputPause = 10 * time.Millisecond
)

// Run returns a run by its id, or [ErrNotFound]. When it has come to its end, its output or error is there too.
func (c *Client) Run(ctx context.Context, id string) (Run, error) {
	for began := time.Now(); ; {
		r, err := c.run(ctx, id)
		if errors.Is(err, errNoGraphQL) {
			var done Run
			if done, err = (rest{c}).run(ctx, id); err == nil {
				return done, nil
			}
		}
		if err != nil {
			return Run{}, fmt.Errorf("read run %s: %w", id, err)
		}
		done := r.export()
		switch done.Status {
		case harness.StatusCompleted, harness.StatusFailed:
			// The server shows an end first, writes the rest down with it into the run's span, and some 100 ms later
			// to where it was looked for.
			if r.Output != nil {
				return done, nil
			}
		case harness.StatusCancelled, harness.StatusSkipped:
		default:
			return done, nil
		}
		known, err := fillFromSpan(ctx, c, id, &done)
		if err != nil {
			return Run{}, fmt.Errorf("read the end of run %s: %w", id, err)
		}
		if known || time.Since(began) > outputLag {
			return done, nil
		}
		if err := pause(ctx, outputPause); err != nil {
			return Run{}, fmt.Errorf("read run %s: %w", id, err)
		}
	}
}

// fillFromSpan fills in from a run's span when it began, and what it came to: an output or an error, the end of a cancelled run, the
// reason of a skipped one. It reports whether the last was there.
func fillFromSpan(ctx context.Context, c *Client, id string, r *Run) (known bool, err error) {
	var where struct {
		Run struct {
			Trace struct {
				OutputID, SkipReason, SkipExistingRunID string
				StartedAt, EndedAt                      time.Time
			}
		}
	}
	err = c.query(ctx, "query($id:String!){run(runID:$id){trace(preview:true){outputID startedAt endedAt skipReason skipExistingRunID}}}",
		map[string]any{"id": id}, &where)
	span := where.Run.Trace
	switch {
	case r.Status == harness.StatusSkipped && (err == nil || errors.Is(err, ErrNotFound)):
		// A singleton's run that came at the same time as the one at work has no span.
		r.Skipped = cmp.Or(strings.ToLower(span.SkipReason), "the server does not say why")
		if span.SkipExistingRunID != "" {
			r.Skipped += ": the run " + span.SkipExistingRunID + " had not ended"
		}
		return true, nil
	case errors.Is(err, ErrNotFound): // that of any other run may still come
		return false, nil
	case err != nil:
		return false, err
	}
	if r.Started.IsZero() {
		r.Started = span.StartedAt
	}
	if r.Status == harness.StatusCancelled { // elsewhere the server adds 10 s, in which steps may still end
		if span.EndedAt.IsZero() {
			return false, nil
		}
		r.Ended = span.EndedAt
		return true, nil
	}
	if span.OutputID == "" {
		return false, nil
	}
	var what struct {
		Output struct {
			Data  *string
			Error *struct{ Name, Message string }
		}
	}
	err = c.query(ctx, "query($id:String!){output:runTraceSpanOutputByID(outputID:$id){data error{name message}}}",
		map[string]any{"id": span.OutputID}, &what)
	switch {
	case err != nil:
		return false, err
	case r.Status == harness.StatusFailed && what.Output.Error != nil:
		r.Error = cmp.Or(what.Output.Error.Message, what.Output.Error.Name)
		return true, nil
	case r.Status == harness.StatusCompleted && what.Output.Data != nil && *what.Output.Data != "":
		r.Output = value([]byte(*what.Output.Data))
		return true, nil
	default:
		return false, nil
	}
}

func (c *Client) run(ctx context.Context, id string) (*run, error) {
	var data struct{ Run *run }
	if err := c.query(ctx, "query($id:String!){run(runID:$id){"+runFields+"}}", map[string]any{"id": id}, &data); err != nil {
		return nil, err
	}
	if data.Run == nil {
		return nil, ErrNotFound
	}
	return data.Run, nil
}

// returned is what the function returned. An SDK that ends a run with an opcode, as that of JavaScript does with checkpoints, makes
// the server record the opcodes of that answer in the output's place: those of steps that had not been saved come first.
func returned(output []byte) []byte {
	var ops []struct {
		Op   sdk.Opcode
		ID   *string
		Data json.RawMessage
	}
	if json.Unmarshal(output, &ops) != nil || len(ops) == 0 {
		return output
	}
	last := ops[len(ops)-1]
	for _, o := range ops {
		if o.Op == "" || o.ID == nil || last.Op != sdk.OpRunComplete {
			return output
		}
	}
	return last.Data
}

// value is a JSON value as it was written, nil for null. What an app returned and is no JSON becomes a JSON string.
func value(output []byte) json.RawMessage {
	output = bytes.TrimSpace(output)
	if len(output) == 0 || string(output) == "null" {
		return nil
	}
	return text.JSON(output)
}

// errorText is the message in the output of a failed run, which has one of three forms: the fields of an error, those
// within a field "error", or with a text in the field "error".
func errorText(output []byte) string {
	var wrapped struct{ Error json.RawMessage }
	if json.Unmarshal(output, &wrapped) == nil && bytes.HasPrefix(wrapped.Error, []byte("{")) {
		output = wrapped.Error
	}
	var e struct{ Name, Message, Error string }
	if json.Unmarshal(output, &e) != nil {
		return strings.TrimSpace(string(output))
	}
	return cmp.Or(e.Message, e.Error, e.Name)
}
