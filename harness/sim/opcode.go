package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xhit/go-str2duration/v2"
)

const maxStepBytes = 4 << 20 // of a step's input or output

// opcode is one thing the app asks for or reports.
type opcode struct {
	Op          string          `json:"op"`
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	DisplayName *string         `json:"displayName"`
	Opts        json.RawMessage `json:"opts"`
	Data        json.RawMessage `json:"data"`
	Error       *Error          `json:"error"`
	Userland    *userland       `json:"userland"`
}

// userland is a step's id as the code has it, and how many times it was used before in the run.
type userland struct {
	ID    string `json:"id"`
	Index int    `json:"index"`
}

// The opcodes of the protocol. Those that are not modelled end a run with an error that names them.
var (
	modelled   = []string{"None", "Step", "StepRun", "StepError", "StepFailed", "StepPlanned", "Sleep", "WaitForEvent", "InvokeFunction", "RunComplete", "DiscoveryRequest"}
	unmodelled = []string{"WaitForSignal", "Gateway", "AIGateway", "SyncRunComplete", "DeferAdd", "DeferAbort"}
)

// parseOps reads the opcodes of a 206 answer.
func parseOps(body []byte, noRetry bool) ([]opcode, error) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil, errors.New("no response data")
	}
	if ops, ok := quickOps(body); ok && len(ops) > 0 {
		return checkOps(ops, noRetry)
	}
	var raws []*opcode
	switch body[0] {
	case '{':
		raws = []*opcode{{}}
		if err := json.Unmarshal(body, raws[0]); err != nil {
			return nil, fmt.Errorf("error reading generator opcode response: %w", err)
		}
	case '[':
		if err := json.Unmarshal(body, &raws); err != nil {
			return nil, fmt.Errorf("error reading generator opcode response: %w", err)
		}
	default:
		return nil, errors.New("error reading generator opcode response: expected JSON object or array")
	}
	if len(raws) == 0 {
		return []opcode{{Op: "None"}}, nil
	}
	ops := make([]opcode, len(raws))
	for i, op := range raws {
		if op == nil {
			return nil, fmt.Errorf("error validating generator opcode %d: opcode cannot be null", i)
		}
		ops[i] = *op
	}
	return checkOps(ops, noRetry)
}

// checkOps says what of the opcodes the server refuses.
func checkOps(ops []opcode, noRetry bool) ([]opcode, error) {
	for i := range ops {
		op := &ops[i]
		if op.Op == "" {
			op.Op = "None"
		}
		if !slices.Contains(modelled, op.Op) && !slices.Contains(unmodelled, op.Op) {
			return nil, fmt.Errorf("error reading generator opcode response: %s does not belong to Opcode values", op.Op)
		}
		if op.Op == "StepError" {
			if op.Error == nil {
				return nil, fmt.Errorf("OpcodeStepError received without Error field set: %s", op.label())
			}
			op.Error.NoRetry = noRetry
		}
		if len(op.Data) > maxStepBytes {
			return nil, fmt.Errorf("error validating generator opcode %s: step output size is greater than the limit", op.ID)
		}
	}
	return ops, nil
}

// label is the step's id as the code has it.
func (o *opcode) label() string {
	switch {
	case o.Userland != nil && o.Userland.ID != "":
		if o.Userland.Index > 0 {
			return o.Userland.ID + ":" + strconv.Itoa(o.Userland.Index)
		}
		return o.Userland.ID
	case o.DisplayName != nil && *o.DisplayName != "":
		return *o.DisplayName
	case o.Name != "":
		return o.Name
	default:
		return o.ID
	}
}

// options reads the opcode's options into v. Absent ones leave v as it is.
func (o *opcode) options(v any) error {
	if len(o.Opts) == 0 {
		return nil
	}
	if err := json.Unmarshal(o.Opts, v); err != nil {
		return fmt.Errorf("options of step %s: %w", o.label(), err)
	}
	return nil
}

// race reports whether the plan goes on after each of its steps.
func (o *opcode) race() bool {
	if !bytes.Contains(o.Opts, []byte("arallel")) && !bytes.Contains(o.Opts, []byte(`\`)) {
		return false // there is nothing like it, in whatever case the key begins
	}
	var opts struct {
		Mode string `json:"parallelMode"`
	}
	return o.options(&opts) == nil && strings.EqualFold(opts.Mode, "race")
}

// result is what is memoised for the step.
func (o *opcode) result() json.RawMessage {
	switch o.Op {
	case "StepError", "StepFailed":
		return wrap("error", o.Error)
	case "StepRun":
		data := o.Data
		if len(data) == 0 {
			data = json.RawMessage("null")
		}
		return slices.Concat(json.RawMessage(`{"data":`), data, json.RawMessage(`}`))
	default:
		if len(o.Data) == 0 {
			return json.RawMessage("null")
		}
		return o.Data
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
func (s *Sim) sleep(o *opcode) (time.Duration, error) {
	var opts struct {
		Duration string `json:"duration"`
	}
	if err := o.options(&opts); err != nil {
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
			return 0, fmt.Errorf("sleep of step %s: %w", o.label(), err)
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
