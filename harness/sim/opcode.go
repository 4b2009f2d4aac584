package sim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/xhit/go-str2duration/v2"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

const maxStepBytes = 4 << 20 // of a step's input or output

// modelled are the opcodes that a Sim acts on. The others end a run with an error that names them.
var modelled = []sdk.Opcode{
	sdk.OpNone, sdk.OpStep, sdk.OpStepRun, sdk.OpStepError, sdk.OpStepFailed, sdk.OpStepPlanned, sdk.OpSleep, sdk.OpWaitForEvent,
	sdk.OpInvokeFunction, sdk.OpRunComplete, sdk.OpDiscovery,
}

// parseOps reads the opcodes of a 206 answer, or says what of them the server refuses.
func parseOps(body []byte, noRetry bool) ([]sdk.Op, error) {
	ops, err := sdk.ParseOps(body)
	if err != nil {
		return nil, err
	}
	if len(ops) == 0 {
		return []sdk.Op{{Op: sdk.OpNone}}, nil
	}
	for i := range ops {
		op := &ops[i]
		if op.Op == "" {
			op.Op = sdk.OpNone
		}
		if !op.Op.Known() {
			return nil, fmt.Errorf("error reading generator opcode response: %s does not belong to Opcode values", op.Op)
		}
		if op.Op == sdk.OpStepError {
			if op.Error == nil {
				return nil, fmt.Errorf("OpcodeStepError received without Error field set: %s", op.StepID())
			}
			op.Error.NoRetry = noRetry
		}
		if len(op.Data) > maxStepBytes {
			return nil, fmt.Errorf("error validating generator opcode %s: step output size is greater than the limit", op.ID)
		}
	}
	return ops, nil
}

// race reports whether the plan goes on after each of its steps.
func race(o *sdk.Op) bool {
	var opts struct {
		Mode string `json:"parallelMode"`
	}
	return o.Options(&opts) == nil && strings.EqualFold(opts.Mode, "race")
}

// memoOf is what is memoised for the step.
func memoOf(o *sdk.Op) json.RawMessage {
	switch o.Op {
	case sdk.OpStepError, sdk.OpStepFailed:
		return wrap("error", o.Error)
	case sdk.OpStepRun:
		return wrap("data", orNull(o.Data))
	default:
		return orNull(o.Data)
	}
}

// wrap encodes {key: v}; v must be of a kind that always encodes.
func wrap(key string, v any) json.RawMessage {
	raw, err := json.Marshal(map[string]any{key: v})
	if err != nil {
		panic(fmt.Sprintf("sim: encoding %s: %v", key, err))
	}
	return raw
}

// tooLong marks a time that is further away than the server takes: the run fails at once.
type tooLong struct{ message string }

func (e *tooLong) Error() string { return e.message }

// sleep returns how long a Sleep lasts.
func (s *Sim) sleep(o *sdk.Op) (time.Duration, error) {
	var opts struct {
		Duration string `json:"duration"`
	}
	if err := o.Options(&opts); err != nil {
		return 0, err
	}
	text := opts.Duration
	if text == "" {
		text = o.Name
	}
	if text == "" {
		return 0, nil
	}
	d, err := str2duration.ParseDuration(text)
	if err != nil {
		at, dateErr := parseDate(text)
		if dateErr != nil {
			return 0, fmt.Errorf("sleep of step %s: %w", o.StepID(), err)
		}
		d = max(s.fromApp(at).Sub(s.clock()).Round(time.Second), 0)
	}
	if d > longestWait {
		return 0, &tooLong{fmt.Sprintf("The sleep %q ends more than one year in the future; sleeps may last at most one year.", text)}
	}
	return d, nil
}

// deadline returns when a timeout given as a duration or as a date is up.
func (s *Sim) deadline(text string) (time.Time, error) {
	if d, err := str2duration.ParseDuration(text); err == nil {
		return s.clock().Add(d), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is neither a duration nor a date: %w", text, err)
	}
	return s.fromApp(at), nil
}

func parseDate(text string) (time.Time, error) {
	var err error
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999Z07:00", time.RFC1123, http.TimeFormat, time.DateTime, time.DateOnly} {
		var at time.Time
		if at, err = time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, err
}

// The soonest and the furthest that an app may put off a retry by Retry-After.
const (
	soonestRetry  = time.Second
	furthestRetry = 24 * time.Hour
)

// retryTime reads a Retry-After header, in seconds or as a date; the zero Time if it cannot be read.
func (s *Sim) retryTime(text string) time.Time {
	now := s.clock()
	var at time.Time
	if secs, err := strconv.Atoi(text); err == nil && secs > 0 {
		at = now.Add(time.Duration(secs) * time.Second)
	} else {
		date, err := parseDate(text)
		if err != nil {
			return time.Time{}
		}
		at = s.fromApp(date)
	}
	return now.Add(min(max(at.Sub(now), soonestRetry), furthestRetry))
}
