package sdk

import (
	"cmp"
	"encoding/json"
)

// Registration is what an app says of itself and its functions: the body of its POST to the server or, in band, of its
// answer to the server's PUT.
type Registration struct {
	URL        string           `json:"url"`
	SDK        string           `json:"sdk"`
	AppName    string           `json:"appName"`
	AppID      string           `json:"app_id"`       // in band, in place of AppName
	SDKLang    string           `json:"sdk_language"` // in band, with SDKVersion in place of SDK
	SDKVersion string           `json:"sdk_version"`
	Functions  []FunctionConfig `json:"functions"`
}

// App returns the app's id.
func (r Registration) App() string { return cmp.Or(r.AppName, r.AppID) }

// FunctionConfig is the configuration of one function.
type FunctionConfig struct {
	ID          string          `json:"id"` // with the app's id in front
	Name        string          `json:"name"`
	Triggers    []TriggerConfig `json:"triggers"`
	Concurrency json.RawMessage `json:"concurrency"`
	Priority    json.RawMessage `json:"priority"`
	BatchEvents json.RawMessage `json:"batchEvents"`
	RateLimit   json.RawMessage `json:"rateLimit"`
	Throttle    json.RawMessage `json:"throttle"`
	Debounce    json.RawMessage `json:"debounce"`
	Singleton   json.RawMessage `json:"singleton"` // "Singleton" from the Go SDK; encoding/json takes either
	Idempotency *string         `json:"idempotency"`
	Timeouts    *struct {
		Start  string `json:"start"`
		Finish string `json:"finish"`
	} `json:"timeouts"`
	Cancel []CancelConfig        `json:"cancel"`
	Steps  map[string]StepConfig `json:"steps"`
}

// TriggerConfig is one trigger: an event, on a condition or not, or a schedule.
type TriggerConfig struct {
	Event      string  `json:"event"`
	Expression *string `json:"expression"`
	Cron       string  `json:"cron"`
	Jitter     string  `json:"jitter"`
}

// CancelConfig is one event that cancels runs.
type CancelConfig struct {
	Event   string  `json:"event"`
	Timeout *string `json:"timeout"`
	If      *string `json:"if"`
}

// StepConfig says where a function is called, and how often it is tried.
type StepConfig struct {
	Runtime struct {
		URL string `json:"url"`
	} `json:"runtime"`
	Retries *struct {
		Attempts int `json:"attempts"`
	} `json:"retries"`
}
