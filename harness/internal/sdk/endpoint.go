package sdk

import "encoding/json"

// EventHTTPRequest is the event of a run that begins with an HTTP request to a durable endpoint. The Go SDK calls it
// EventHTTPRunStarted.
const (
	EventHTTPRequest    = "inngest/http.request"
	EventHTTPRunStarted = "http/run.started"
)

// Headers of the call that goes on with such a run.
const (
	HeaderForceStepPlan = "X-Inngest-Force-Step-Plan"
	HeaderStepID        = "X-Inngest-Step-Id"
)

// NewRun is what an app reports of a run that began with an HTTP request.
type NewRun struct {
	RunID string `json:"run_id"`
	Event struct {
		ID   *string        `json:"id"`
		Name string         `json:"name"`
		Data EndpointCall   `json:"data"`
		User map[string]any `json:"user"`
		TS   int64          `json:"ts"`
		V    string         `json:"v"`
	} `json:"event"`
	Steps   []Op `json:"steps"`
	Version *int `json:"request_version"`
	Retries int  `json:"retries"`
}

// EndpointCall is the HTTP request that begins a run.
type EndpointCall struct {
	Domain      string `json:"domain"` // with the scheme
	Method      string `json:"method"`
	Path        string `json:"path"`
	Function    string `json:"fn"`
	IP          string `json:"ip"`
	ContentType string `json:"content_type"`
	Query       string `json:"query_params"`
	Body        []byte `json:"body"`
}

// NewRunAnswer is the server's answer to a [NewRun].
type NewRunAnswer struct {
	FunctionID    string `json:"fn_id"`
	AppID         string `json:"app_id"`
	RunID         string `json:"run_id"`
	Token         string `json:"token,omitempty"` // to wait for the output
	RealtimeToken string `json:"realtime_token,omitempty"`
}

// EndpointResult is the response of a durable endpoint to its caller, with which the run ends.
type EndpointResult struct {
	Status   int               `json:"status"`
	Headers  map[string]string `json:"headers,omitempty"`
	Body     string            `json:"body,omitempty"`
	Duration json.Number       `json:"duration"`
}
