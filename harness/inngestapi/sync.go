package inngestapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// App says where an app serves its functions.
type App struct {
	// URL is where this program reaches it, its path included, as in http://127.0.0.1:3000/api/inngest.
	URL string
	// Host is the host:port under which the server reaches it. Empty: the one in URL.
	Host string
}

// endpoint returns the app's URL, and the host under which the server reaches it.
func (a App) endpoint() (u *url.URL, host string, err error) {
	if u, err = url.Parse(a.URL); err != nil {
		return nil, "", fmt.Errorf("the app's address: %w", err)
	}
	return u, cmp.Or(a.Host, u.Host), nil
}

// Function is a function that the server knows.
type Function struct {
	ID       string // without the app's id
	App      string // the app's id
	URL      string // where it is called
	Triggers []Trigger
	// What may keep the function from starting at once, or at all; nil where it is not configured. The server shows an
	// idempotency expression as a rate limit of one in 24 hours.
	Batch, Debounce, RateLimit, Singleton *FlowControl
}

// FlowControl is the configuration of one kind of flow control. Which fields it has depends on the kind.
type FlowControl struct {
	Key     string `json:"key"` // an expression; events with different values do not affect each other
	If      string `json:"if"`  // of a batch: events of which it is false start a run by themselves
	Mode    string `json:"mode"`
	Limit   int    `json:"limit"`
	MaxSize int    `json:"maxSize"`
	Period  string `json:"period"` // a duration, such as 10m or 1d; so is Timeout
	Timeout string `json:"timeout"`
}

// Trigger is what starts a function: an event, on a condition or not, or a schedule.
type Trigger struct {
	Event      string `json:"event"`
	Expression string `json:"expression"`
	Cron       string `json:"cron"`
}

// Functions lists the functions that the server knows, of all apps.
func (c *Client) Functions(ctx context.Context) ([]Function, error) {
	var data struct {
		Functions []struct {
			Slug, URL, Config string
			App               struct{ ExternalID string }
		}
	}
	var functions []Function
	err := c.query(ctx, "{functions{slug url config app{externalID}}}", nil, &data)
	if errors.Is(err, errNoGraphQL) {
		functions, err = rest{c}.functions(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("list functions: %w", err)
	}
	for _, listed := range data.Functions {
		f, err := newFunction(listed.Slug, listed.App.ExternalID, []byte(listed.Config))
		if err != nil {
			return nil, fmt.Errorf("list functions: %w", err)
		}
		f.URL = listed.URL
		functions = append(functions, f)
	}
	return functions, nil
}

// newFunction makes a function of its id, with the app's id in front, and its configuration.
func newFunction(slug, app string, text []byte) (Function, error) {
	var config struct {
		Triggers                                    []Trigger
		BatchEvents, Debounce, RateLimit, Singleton *FlowControl
		Steps                                       []struct{ URI string }
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return Function{}, fmt.Errorf("the configuration of %s: %w", slug, err)
	}
	f := Function{
		ID: sdk.SplitFunctionID(slug, app), App: app, Triggers: config.Triggers,
		Batch: config.BatchEvents, Debounce: config.Debounce, RateLimit: config.RateLimit, Singleton: config.Singleton,
	}
	if len(config.Steps) > 0 {
		f.URL = config.Steps[0].URI
	}
	return f, nil
}

// RegisteredApp is an app that the server knows.
type RegisteredApp struct {
	ID        string `json:"externalID"`
	URL       string
	Connected bool
	// Error is why its last sync failed, in the server's words.
	Error         string
	FunctionCount int
}

// Apps lists the apps that the server knows.
func (c *Client) Apps(ctx context.Context) ([]RegisteredApp, error) {
	var data struct{ Apps []RegisteredApp }
	err := c.query(ctx, "{apps{externalID url connected error functionCount}}", nil, &data)
	if errors.Is(err, errNoGraphQL) {
		data.Apps, err = rest{c}.apps(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("list apps: %w", err)
	}
	return data.Apps, nil
}

const (
	// syncPoll is how often the server is asked whether it lists an app that has just registered, listTime for how long.
	syncPoll = 10 * time.Millisecond
	listTime = 3 * time.Second
)

// Sync asks an app to register its functions with the server that it is configured for, and returns them once this
// server lists them. The error says which half failed, and why.
func (c *Client) Sync(ctx context.Context, app App) ([]Function, error) {
	if err := register(ctx, c, app); err != nil {
		return nil, fmt.Errorf("sync: %w", err)
	}
	for began := time.Now(); ; {
		functions, err := c.functionsOf(ctx, app)
		if err == nil && len(functions) > 0 {
			return functions, nil
		}
		if err != nil && ctx.Err() == nil {
			return nil, fmt.Errorf("sync: %w", err)
		}
		if ctx.Err() != nil || time.Since(began) > listTime {
			return nil, fmt.Errorf("sync: the app at %s answered, but the Inngest server at %s lists no function of it: does it serve any, and does its INNGEST_DEV name this server? %s",
				app.URL, c.base, known(ctx, c))
		}
		_ = pause(ctx, syncPoll) // when ctx ends, the next turn returns
	}
}

// known says which apps the server knows, for an error.
func known(ctx context.Context, c *Client) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	apps, err := c.Apps(ctx)
	if err != nil {
		return "It did not say which apps it knows: " + err.Error()
	}
	if len(apps) == 0 {
		return "It knows no app."
	}
	var list []string
	for _, a := range apps {
		text := fmt.Sprintf("%s at %s with %d functions", cmp.Or(a.ID, "one without an id"), a.URL, a.FunctionCount)
		if a.Error != "" {
			text += " (" + a.Error + ")"
		}
		list = append(list, text)
	}
	return "It knows " + strings.Join(list, ", ") + "."
}

// atPath says what to do about an app whose handler is elsewhere.
const atPath = "name the path where the handler is mounted (--app-path; in Go, stack.Options.AppPath)"

// register sends the PUT that makes an app register itself. For a server in production mode the PUT is signed: then some
// apps answer with their functions instead, and c registers them.
func register(ctx context.Context, c *Client, app App) error {
	var body []byte
	if c.signingKey != "" {
		at, host, err := app.endpoint()
		if err != nil {
			return err
		}
		at.Host = host
		body, err = json.Marshal(map[string]string{"url": at.String()})
		if err != nil {
			return fmt.Errorf("encode: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, app.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("the app's address: %w", err)
	}
	req.Host = cmp.Or(app.Host, req.Host)
	if c.signingKey != "" {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set(sdk.HeaderSignature, sdk.Sign(c.signingKey, body, time.Now()))
	}
	header, answer, err := roundTrip(c.http, req)
	refused, _ := errors.AsType[*statusError](err)
	switch {
	case err == nil && header.Get(sdk.HeaderSDK) == "":
		return fmt.Errorf("%s answers, but is no Inngest SDK's handler (its answer has no %s header): "+atPath, app.URL, sdk.HeaderSDK)
	case err == nil && header.Get(sdk.HeaderSyncKind) == sdk.SyncInBand:
		return registerFor(ctx, c, answer)
	case err == nil:
		return nil
	case refused.is(http.StatusNotFound):
		return fmt.Errorf("the app listens, but serves no Inngest functions at %s (404 Not Found): mount the SDK's handler there, or "+atPath, app.URL)
	case refused.is(http.StatusMethodNotAllowed):
		return fmt.Errorf("%s does not take a PUT (405 Method Not Allowed): it is no SDK's handler, or one that is mounted for some methods only", app.URL)
	case refused.is(http.StatusUnauthorized) && c.signingKey != "":
		return fmt.Errorf("the app at %s refuses the server's signature: start it with INNGEST_SIGNING_KEY set to the server's signing key", app.URL)
	case refused.is(http.StatusUnauthorized):
		return fmt.Errorf("the app at %s takes signed calls only: start it with INNGEST_DEV set, or with INNGEST_ENABLE_UNAUTHED_SYNC=true", app.URL)
	case refused != nil && !refused.sdk && refused.handled:
		return fmt.Errorf("the app at %s answers a PUT with %s, as the JavaScript SDK does in cloud mode without a signing key (what the app prints says why): "+
			"leave its mode to INNGEST_DEV, which it gets, and isDev unset", app.URL, refused.status)
	case refused != nil && !refused.sdk:
		return fmt.Errorf("%s answers a PUT with %s, and is no Inngest SDK's handler (its answer has no %s header): "+atPath, app.URL, refused.status, sdk.HeaderSDK)
	case refused != nil:
		return fmt.Errorf("the app at %s could not register its functions: %w", app.URL, err)
	default:
		return fmt.Errorf("the app at %s cannot be reached: %w", app.URL, reason(err))
	}
}

// registerFor registers the functions that an app has answered with, at the address that the app has given.
func registerFor(ctx context.Context, c *Client, answer []byte) error {
	var said struct {
		URL        string          `json:"url"`
		App        string          `json:"app_id"`
		Language   string          `json:"sdk_language"`
		Version    string          `json:"sdk_version"`
		AppVersion *string         `json:"app_version,omitempty"`
		Functions  json.RawMessage `json:"functions"`
	}
	if err := json.Unmarshal(answer, &said); err != nil {
		return fmt.Errorf("the app's answer to a signed PUT: %w", err)
	}
	err := c.do(ctx, http.MethodPost, "/fn/register", map[string]any{
		"url": said.URL, "appName": said.App, "sdk": said.Language + ":" + strings.TrimPrefix(said.Version, "v"), "appVersion": said.AppVersion,
		"v": "1", "deployType": "ping", "functions": said.Functions,
	}, nil)
	if refused, _ := errors.AsType[*statusError](err); refused.is(http.StatusUnauthorized) {
		return fmt.Errorf("the server does not take this signing key: %w", err)
	}
	if err != nil {
		return fmt.Errorf("register the functions that the app at %s has named: %w", said.URL, err)
	}
	return nil
}

// functionsOf returns the functions that the server calls at the app's host and path.
func (c *Client) functionsOf(ctx context.Context, app App) ([]Function, error) {
	u, host, err := app.endpoint()
	if err != nil {
		return nil, err
	}
	functions, err := c.Functions(ctx)
	return slices.DeleteFunc(functions, func(f Function) bool { return !sameEndpoint(f.URL, host, u.Path) }), err
}

// Serves says whether the server lists any function of the app.
func (c *Client) Serves(ctx context.Context, app App) (bool, error) {
	functions, err := c.functionsOf(ctx, app)
	return len(functions) > 0, err
}

// sameEndpoint says whether a URL leads to host and path. The server writes localhost for 127.0.0.1.
func sameEndpoint(rawURL, host, path string) bool {
	u, err := url.Parse(rawURL)
	return err == nil && canonicalHost(u.Host) == canonicalHost(host) && strings.TrimRight(u.Path, "/") == strings.TrimRight(path, "/")
}

func canonicalHost(hostport string) string {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return hostport
	}
	if host == "localhost" || host == "::1" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// RemoveApp makes the server forget the app that it calls at this URL. Apps stay registered after they end otherwise,
// and their functions are still called. For an app that the server does not know the error is [ErrNotFound].
func (c *Client) RemoveApp(ctx context.Context, app App) error {
	u, host, err := app.endpoint()
	if err != nil {
		return err
	}
	u.Host = host
	if err := c.find(ctx, http.MethodDelete, "/fn/remove?url="+url.QueryEscape(u.String()), nil); err != nil {
		return fmt.Errorf("remove the app at %s: %w", u, err)
	}
	return nil
}
