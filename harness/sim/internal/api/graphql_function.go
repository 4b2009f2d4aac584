package api

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/google/uuid"
	"github.com/graph-gophers/graphql-go"

	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
)

// appID returns the id by which the API names an app.
func appID(name string) string { return uuid.NewSHA1(uuid.NameSpaceOID, []byte(name)).String() }

// appObject resolves the type App.
type appObject struct {
	q   *query
	app engine.App
}

func (a appObject) ID() graphql.ID       { return graphql.ID(appID(a.app.ID)) }
func (a appObject) ExternalID() string   { return a.app.ID }
func (a appObject) Name() string         { return a.app.ID }
func (a appObject) URL() *string         { return &a.app.URL }
func (a appObject) Framework() *string   { return textOrNil(a.app.Framework) }
func (a appObject) Checksum() *string    { return textOrNil(a.app.Checksum) }
func (a appObject) Error() *string       { return nil }
func (a appObject) AppVersion() *string  { return nil }
func (a appObject) Connected() bool      { return true }
func (a appObject) Autodiscovered() bool { return false }
func (a appObject) FunctionCount() int32 { return int32(a.app.Functions) }
func (a appObject) SDKLanguage() string {
	language, _, _ := strings.Cut(a.app.SDK, ":")
	return language
}
func (a appObject) SDKVersion() string { _, version, _ := strings.Cut(a.app.SDK, ":"); return version }
func (a appObject) Functions() []functionObject {
	out := []functionObject{}
	for _, f := range a.q.engine.Functions() {
		if f.App == a.app.ID {
			out = append(out, functionObject{a.q, f})
		}
	}
	return out
}

// Method says how the app is called: at an address, over connections of its workers, or by repeating requests to its API.
func (a appObject) Method() string {
	switch {
	case a.app.Endpoints:
		return "API"
	case strings.HasPrefix(a.app.URL, "ws:"):
		return "CONNECT"
	default:
		return "SERVE"
	}
}

// SDKFeatureReadiness says nothing of the app's SDK.
func (appObject) SDKFeatureReadiness() struct{ AIMetadataExtraction, ExtendedTraces *featureStatus } {
	return struct{ AIMetadataExtraction, ExtendedTraces *featureStatus }{}
}

type featureStatus struct {
	Ready  bool
	Reason *int32
}

// Apps lists the apps.
func (q *query) Apps(args struct{ Filter *struct{ Method *string } }) []appObject {
	out := []appObject{}
	for _, a := range q.engine.Apps() {
		one := appObject{q, a}
		if f := args.Filter; f == nil || f.Method == nil || *f.Method == one.Method() {
			out = append(out, one)
		}
	}
	return out
}

// App returns an app by its id.
func (q *query) App(args struct{ ID text }) *appObject {
	for _, a := range q.engine.Apps() {
		if appID(a.ID) == string(args.ID) {
			return &appObject{q, a}
		}
	}
	return nil
}

// functionObject resolves the type Function.
type functionObject struct {
	q *query
	f engine.Function
}

func (f functionObject) ID() string         { return f.f.UUID }
func (f functionObject) Slug() string       { return f.f.ID }
func (f functionObject) Name() string       { return f.f.Name }
func (f functionObject) URL() string        { return f.f.URL }
func (f functionObject) AppID() string      { return appID(f.f.App) }
func (f functionObject) Concurrency() int32 { return 0 }

// Config returns the whole configuration, as the app registered it.
func (f functionObject) Config() string {
	config, _ := json.Marshal(configOf(f.f)) // made of strings
	return string(config)
}

// App returns the function's app, or what is known of one that was removed.
func (f functionObject) App() appObject {
	for _, a := range f.q.engine.Apps() {
		if a.ID == f.f.App {
			return appObject{f.q, a}
		}
	}
	return appObject{f.q, engine.App{ID: f.f.App}}
}

// FailureHandler returns the function that the app registered for the failures of this one.
func (f functionObject) FailureHandler() *functionObject {
	return f.q.function(f.f.ID + "-failure")
}

type triggerObject struct {
	Type, Value string
	Condition   *string
}

// Triggers returns what starts the function.
func (f functionObject) Triggers() *[]triggerObject {
	out := []triggerObject{}
	for _, t := range f.f.Triggers {
		one := triggerObject{Type: "EVENT", Value: t.Event, Condition: textOrNil(t.Expression)}
		if t.Cron != "" {
			one.Type, one.Value = "CRON", t.Cron
		}
		out = append(out, one)
	}
	return &out
}

// function returns a function by its id, or nil.
func (q *query) function(id string) *functionObject {
	for _, f := range q.engine.Functions() {
		if f.ID == id {
			return &functionObject{q, f}
		}
	}
	return nil
}

// Functions lists the functions.
func (q *query) Functions() *[]functionObject {
	out := []functionObject{}
	for _, f := range q.engine.Functions() {
		out = append(out, functionObject{q, f})
	}
	return &out
}

// FunctionBySlug returns a function by its id with the app's in front.
func (q *query) FunctionBySlug(args struct {
	Query struct {
		WorkspaceID  graphql.ID
		FunctionSlug string
	}
}) *functionObject {
	return q.function(args.Query.FunctionSlug)
}

type (
	cancellationObject struct {
		Event              string
		Timeout, Condition *string
	}
	retryObject struct {
		Value     int32
		IsDefault *bool
	}
	batchObject struct {
		MaxSize int32
		Timeout string
		Key     *string
	}
	limitObject struct {
		Value       int32
		IsPlanLimit *bool
	}
	concurrencyObject struct {
		Scope string
		Limit limitObject
		Key   *string
	}
	rateObject struct { // of a rate limit, a throttle or a debounce
		Limit, Burst int32
		Period       string
		Key          *string
	}
	singletonObject struct {
		Mode string
		Key  *string
	}
	configurationObject struct {
		Cancellations                 []cancellationObject
		Retries                       retryObject
		Priority                      *string
		EventsBatch                   *batchObject
		Concurrency                   []concurrencyObject
		RateLimit, Throttle, Debounce *rateObject
		Singleton                     *singletonObject
	}
)

// configured decodes one kind of flow control, or returns nil.
func configured[T any](raw json.RawMessage) *T {
	var out *T
	if json.Unmarshal(raw, &out) != nil {
		return nil // registration has checked it
	}
	return out
}

// Configuration returns the configuration part by part.
func (f functionObject) Configuration() configurationObject {
	isDefault, isPlan := f.f.Retries < 0, true
	c := configurationObject{
		Cancellations: []cancellationObject{}, Retries: retryObject{int32(f.f.Attempts - 1), &isDefault},
		Concurrency: []concurrencyObject{{"ACCOUNT", limitObject{-1, &isPlan}, nil}},
	}
	for _, on := range f.f.Cancel {
		c.Cancellations = append(c.Cancellations, cancellationObject{on.Event, on.Timeout, on.If})
	}
	flow := f.f.Flow
	if flow == nil {
		return c
	}
	c.EventsBatch, c.Singleton = configured[batchObject](flow.BatchEvents), configured[singletonObject](flow.Singleton)
	c.RateLimit, c.Throttle = configured[rateObject](flow.RateLimit), configured[rateObject](flow.Throttle)
	c.Debounce = configured[rateObject](flow.Debounce)
	if c.Singleton != nil {
		c.Singleton.Mode = strings.ToUpper(c.Singleton.Mode)
	}
	if c.Throttle != nil {
		c.Throttle.Burst = max(c.Throttle.Burst, 1)
	}
	if p := configured[struct{ Run *string }](flow.Priority); p != nil {
		c.Priority = p.Run
	}
	if limits := concurrencyOf(flow.Concurrency); limits != nil {
		c.Concurrency = limits
	}
	return c
}

// concurrencyOf reads the forms in which a function may limit its concurrency.
func concurrencyOf(raw json.RawMessage) (out []concurrencyObject) {
	type limit struct {
		Limit int32
		Scope string
		Key   *string
	}
	var limits []limit
	var grouped struct{ Fn, Step []limit }
	var one limit
	switch {
	case json.Unmarshal(raw, &one.Limit) == nil:
		limits = []limit{one}
	case json.Unmarshal(raw, &limits) == nil:
	case json.Unmarshal(raw, &grouped) == nil && (grouped.Fn != nil || grouped.Step != nil):
		limits = append(grouped.Fn, grouped.Step...)
	case json.Unmarshal(raw, &one) == nil:
		limits = []limit{one}
	}
	isPlan := false
	for _, l := range limits {
		scope := map[string]string{"account": "ACCOUNT", "env": "ENVIRONMENT"}[strings.ToLower(l.Scope)]
		out = append(out, concurrencyObject{cmp.Or(scope, "FUNCTION"), limitObject{l.Limit, &isPlan}, l.Key})
	}
	return out
}
