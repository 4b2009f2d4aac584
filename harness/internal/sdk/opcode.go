package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Opcode says what an app reports or asks for.
type Opcode string

// The opcodes of the protocol.
const (
	OpNone            Opcode = "None"
	OpStep            Opcode = "Step" // StepRun in older SDKs
	OpStepRun         Opcode = "StepRun"
	OpStepError       Opcode = "StepError"  // the attempt failed
	OpStepFailed      Opcode = "StepFailed" // the step failed for good
	OpStepPlanned     Opcode = "StepPlanned"
	OpSleep           Opcode = "Sleep"
	OpWaitForEvent    Opcode = "WaitForEvent"
	OpInvokeFunction  Opcode = "InvokeFunction"
	OpRunComplete     Opcode = "RunComplete"
	OpDiscovery       Opcode = "DiscoveryRequest"
	OpWaitForSignal   Opcode = "WaitForSignal"
	OpGateway         Opcode = "Gateway"
	OpAIGateway       Opcode = "AIGateway"
	OpSyncRunComplete Opcode = "SyncRunComplete"
	OpDeferAdd        Opcode = "DeferAdd"
	OpDeferAbort      Opcode = "DeferAbort"
)

var opcodes = []Opcode{
	OpNone, OpStep, OpStepRun, OpStepError, OpStepFailed, OpStepPlanned, OpSleep, OpWaitForEvent, OpInvokeFunction,
	OpRunComplete, OpDiscovery, OpWaitForSignal, OpGateway, OpAIGateway, OpSyncRunComplete, OpDeferAdd, OpDeferAbort,
}

// Known reports whether the protocol has such an opcode.
func (o Opcode) Known() bool { return slices.Contains(opcodes, o) }

// Ran reports whether the opcode reports the end of a step's own code.
func (o Opcode) Ran() bool {
	return o == OpStep || o == OpStepRun || o == OpStepError || o == OpStepFailed
}

// Plans reports whether the opcode announces something that is still to come.
func (o Opcode) Plans() bool {
	switch o {
	case OpStepPlanned, OpSleep, OpWaitForEvent, OpInvokeFunction, OpWaitForSignal, OpGateway, OpAIGateway:
		return true
	}
	return false
}

// Lazy reports whether the opcode comes along with others, and is no step.
func (o Opcode) Lazy() bool { return o == OpDeferAdd || o == OpDeferAbort }

// First reports whether the server acts on the opcode before the others of an answer: these may cause what it waits for, or end
// the run.
func (o Opcode) First() bool { return o == OpWaitForEvent || o.Lazy() }

// Op is one thing that an app reports or asks for, in an answer or a checkpoint.
type Op struct {
	Op          Opcode           `json:"op"`
	ID          string           `json:"id"` // [StepHash]
	Name        string           `json:"name"`
	DisplayName *string          `json:"displayName"`
	Opts        json.RawMessage  `json:"opts"`
	Data        json.RawMessage  `json:"data"`
	Error       *Failure         `json:"error"`
	Userland    *Userland        `json:"userland"`
	Timing      Timing           `json:"timing"`
	Metadata    []MetadataUpdate `json:"metadata"`
}

// MetadataUpdate changes what is noted about a run or a step.
type MetadataUpdate struct {
	Scope  string                     `json:"scope"` // in an opcode: run, step, step_attempt
	Kind   string                     `json:"kind"`
	Op     string                     `json:"op"` // merge, set, delete, add
	Values map[string]json.RawMessage `json:"values"`
}

// Userland is a step's id as the code has it, and how many times it was used before in the run.
type Userland struct {
	ID    string `json:"id"`
	Index int    `json:"index"`
}

// Timing is when a step's code ran, where the SDK reports it.
type Timing struct {
	Start    int64 `json:"a"` // nanoseconds since 1970
	Duration int64 `json:"b"` // nanoseconds
}

// Times returns both ends, or zero Times where the SDK does not report them.
func (t Timing) Times() (began, ended time.Time) {
	if t.Start <= 0 {
		return began, ended
	}
	began = time.Unix(0, t.Start)
	return began, began.Add(time.Duration(t.Duration))
}

// Failure is an error on the wire.
type Failure struct {
	Name    string          `json:"name"`
	Message string          `json:"message"`
	Stack   string          `json:"stack,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
	NoRetry bool            `json:"noRetry,omitempty"`
	Cause   json.RawMessage `json:"cause,omitempty"`
}

// Error returns the message.
func (e *Failure) Error() string { return e.Message }

// CodeID returns the step's id in the code, the same for every use of one id in a run. Where an SDK does not report it,
// the name that it shows for the step.
func (o *Op) CodeID() string {
	switch {
	case o.Userland != nil && o.Userland.ID != "":
		return o.Userland.ID
	case o.DisplayName != nil && *o.DisplayName != "":
		return *o.DisplayName
	default:
		return o.Name
	}
}

// StepID returns the step's id in the code, with ":1", ":2" and so on for the second and later use of one id in a run;
// where the SDK reports no name either, the hashed id.
func (o *Op) StepID() string {
	id := o.CodeID()
	if o.Userland != nil && o.Userland.ID != "" && o.Userland.Index > 0 {
		return id + ":" + strconv.Itoa(o.Userland.Index)
	}
	if id == "" {
		return o.ID
	}
	return id
}

// Options decodes the opcode's options into v. Absent ones leave v as it is.
func (o *Op) Options(v any) error {
	if len(o.Opts) == 0 {
		return nil
	}
	if err := json.Unmarshal(o.Opts, v); err != nil {
		return fmt.Errorf("options of step %s: %w", o.StepID(), err)
	}
	return nil
}

// ParseOps reads the opcodes of a 206 answer: a list, or from old SDKs a single one. With the error it returns those
// that could be read.
func ParseOps(body []byte) ([]Op, error) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil, errors.New("no response data")
	}
	var list []*Op
	var err error
	switch body[0] {
	case '{':
		list = []*Op{{}}
		err = json.Unmarshal(body, list[0])
	case '[':
		err = json.Unmarshal(body, &list)
	default:
		return nil, errors.New("error reading generator opcode response: expected JSON object or array")
	}
	if err != nil {
		err = fmt.Errorf("error reading generator opcode response: %w", err)
		if !isTypeError(err) {
			return nil, err
		}
	}
	ops := make([]Op, 0, len(list))
	for i, op := range list {
		if op == nil {
			return ops, fmt.Errorf("error validating generator opcode %d: opcode cannot be null", i)
		}
		ops = append(ops, *op)
	}
	return ops, err
}

// isTypeError reports whether a value was JSON, but not of the expected type.
func isTypeError(err error) bool {
	var wrong *json.UnmarshalTypeError
	return errors.As(err, &wrong)
}
