package inngestapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// App says where an app serves its functions.
type App struct {
	// URL is where this program reaches it, its path included, as in http://127.0.0.1:3000/api/inngest.
	URL string
	// Host is the host:port under which the server reaches it. Empty: the one in URL.
	Host string
}

// Function is a function that the server knows.
type Function struct {
	ID       string // without the app's id
	App      string // the app's id
	URL      string // where it is called
	Triggers []Trigger
	// Batched and Debounced functions may start no run for an event, or a later one for several.
	Batched, Debounced bool
}

// Trigger is what starts a function: an event, on a condition or not, or a schedule.
type Trigger struct {
	Event      string `json:"event"`
	Expression string `json:"expression"`
	Cron       string `json:"cron"`
}

// Info is what a dev server says of itself.
type Info struct {
	Version   string
	Functions []Function
}

// Info asks a dev server about itself and its functions. A server in production mode does not tell.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var dev struct {
		Version   string
		Functions []struct {
			Name, Slug string
			Triggers   []Trigger
			Steps      []struct{ URI string }
			EventBatch any `json:"eventBatch"`
			BatchEvent any `json:"batchEvents"`
			Debounce   any `json:"debounce"`
		}
	}
	if err := c.do(ctx, http.MethodGet, "/dev", nil, &dev); err != nil {
		return Info{}, fmt.Errorf("ask the dev server about itself: %w", err)
	}
	info := Info{Version: dev.Version}
	for _, f := range dev.Functions {
		fn := Function{ID: f.Slug, Triggers: f.Triggers, Batched: f.EventBatch != nil || f.BatchEvent != nil, Debounced: f.Debounce != nil}
		if len(f.Steps) > 0 {
			fn.URL = f.Steps[0].URI
		}
		info.Functions = append(info.Functions, fn)
	}
	if err := c.nameApps(ctx, info.Functions); err != nil {
		return Info{}, err
	}
	return info, nil
}

// nameApps fills in which app each function belongs to, and takes the app's id off the function's, which the server
// joins with a hyphen that both may contain.
func (c *Client) nameApps(ctx context.Context, functions []Function) error {
	apps, err := c.Apps(ctx)
	if err != nil {
		return err
	}
	// The longest app id that fits is the right one: "shop-admin" before "shop".
	slices.SortFunc(apps, func(a, b RegisteredApp) int { return cmp.Compare(len(b.ID), len(a.ID)) })
	for i := range functions {
		for _, a := range apps {
			if id, ok := strings.CutPrefix(functions[i].ID, a.ID+"-"); ok {
				functions[i].ID, functions[i].App = id, a.ID
				break
			}
		}
	}
	return nil
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
	if err := c.query(ctx, "{apps{externalID url connected error functionCount}}", nil, &data); err != nil {
		return nil, fmt.Errorf("list apps: %w", err)
	}
	return data.Apps, nil
}

// syncPoll is how often the server is asked whether it lists an app that has just registered.
const syncPoll = 10 * time.Millisecond

// Sync asks an app to register its functions with the server that it is configured for, and returns them once this
// server lists them. The error says which half failed, and why.
func (c *Client) Sync(ctx context.Context, app App) ([]Function, error) {
	u, err := url.Parse(app.URL)
	if err != nil {
		return nil, fmt.Errorf("sync: the app's address: %w", err)
	}
	host := cmp.Or(app.Host, u.Host)
	if err := c.register(ctx, app, host); err != nil {
		return nil, err
	}
	tick := time.NewTicker(syncPoll)
	defer tick.Stop()
	began := time.Now()
	for {
		functions, err := c.functionsAt(ctx, host, u.Path)
		if err == nil && len(functions) > 0 {
			return functions, nil
		}
		select {
		case <-tick.C:
			if time.Since(began) < listTime {
				continue
			}
		case <-ctx.Done():
		}
		if err == nil {
			err = fmt.Errorf("the app at %s answered the sync, but the Inngest server at %s lists no function of it: does it serve any, and does its INNGEST_DEV name this server?", app.URL, c.base)
		}
		return nil, fmt.Errorf("sync: %w", err)
	}
}

// listTime is how long the server may take to list what has been registered.
const listTime = 3 * time.Second

// register sends the PUT that makes an app register itself.
func (c *Client) register(ctx context.Context, app App, host string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, app.URL, nil)
	if err != nil {
		return fmt.Errorf("sync: the app's address: %w", err)
	}
	req.Host = host
	_, err = roundTrip(c.http, req)
	var s *statusError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &s) && s.code == http.StatusNotFound:
		return fmt.Errorf("sync: the app listens, but serves no Inngest functions at %s (404 Not Found): mount the SDK's handler there, or name the right path", app.URL)
	case errors.As(err, &s) && s.code == http.StatusMethodNotAllowed:
		return fmt.Errorf("sync: %s does not take a PUT (405 Method Not Allowed): it is no SDK's handler, or one that is mounted for some methods only", app.URL)
	case errors.As(err, &s):
		return fmt.Errorf("sync: the app at %s could not register its functions: %w", app.URL, err)
	default:
		return fmt.Errorf("sync: the app at %s cannot be reached: %w", app.URL, reason(err))
	}
}

// functionsAt returns the functions that the server calls at a host and path.
func (c *Client) functionsAt(ctx context.Context, host, path string) ([]Function, error) {
	info, err := c.Info(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(info.Functions, func(f Function) bool { return !sameEndpoint(f.URL, host, path) }), nil
}

// Serves says whether the server lists any function of the app.
func (c *Client) Serves(ctx context.Context, app App) (bool, error) {
	u, err := url.Parse(app.URL)
	if err != nil {
		return false, fmt.Errorf("the app's address: %w", err)
	}
	functions, err := c.functionsAt(ctx, cmp.Or(app.Host, u.Host), u.Path)
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
// and their functions are still called.
func (c *Client) RemoveApp(ctx context.Context, app App) error {
	u, err := url.Parse(app.URL)
	if err != nil {
		return fmt.Errorf("the app's address: %w", err)
	}
	if app.Host != "" {
		u.Host = app.Host
	}
	u.Host = strings.Replace(u.Host, "127.0.0.1:", "localhost:", 1) // as the server has stored it
	if err := c.do(ctx, http.MethodDelete, "/fn/remove?url="+url.QueryEscape(u.String()), nil, nil); err != nil {
		return fmt.Errorf("remove the app at %s: %w", u, err)
	}
	return nil
}
