package mailcheck

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// A Resolver requests the pages that emails link to, each once. It requests only pages of the app and of this machine's
// loopback interface: a test must not call other servers, and a link in a captured email is not to be trusted. It is safe
// for concurrent use.
type Resolver struct {
	app    string // scheme and host
	client *http.Client

	there sync.Map // the URLs whose answers are known to be good; a page that is not there yet may come
}

// resolveTimeout bounds one question.
const resolveTimeout = 5 * time.Second

// NewResolver returns a resolver. appURL is where the app is; it may be empty.
func NewResolver(appURL string) *Resolver {
	r := &Resolver{client: &http.Client{
		Timeout: resolveTimeout,
		// A redirect counts as an answer: it may lead to any server.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		// Neither a proxy nor a connection that outlives the question.
		Transport: &http.Transport{DisableKeepAlives: true},
	}}
	if u, err := url.Parse(appURL); err == nil {
		r.app = origin(u)
	}
	return r
}

// Resolve returns why there is no page at an absolute URL. It asks with HEAD, which changes nothing, and with GET
// where a server does not know HEAD. A page that requires a login (401, 403) exists.
func (r *Resolver) Resolve(ctx context.Context, link string) error {
	u, err := url.Parse(link)
	if err != nil {
		return errors.New(reason(err))
	}
	u.Fragment = ""
	if !r.mayAsk(u) {
		return nil
	}
	if _, known := r.there.Load(u.String()); known {
		return nil
	}
	status, err := r.ask(ctx, http.MethodHead, u)
	if err == nil && (status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented) {
		status, err = r.ask(ctx, http.MethodGet, u)
	}
	switch {
	case err != nil:
		return err
	case status >= http.StatusBadRequest && status != http.StatusUnauthorized && status != http.StatusForbidden:
		return fmt.Errorf("the answer is %d %s", status, http.StatusText(status))
	}
	r.there.Store(u.String(), true)
	return nil
}

func (r *Resolver) ask(ctx context.Context, method string, u *url.URL) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return 0, err
	}
	res, err := r.client.Do(req)
	if err != nil {
		return 0, errors.New(reason(err))
	}
	return res.StatusCode, res.Body.Close()
}

func (r *Resolver) mayAsk(u *url.URL) bool {
	if r.app != "" && origin(u) == r.app {
		return true
	}
	host := u.Hostname()
	return strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback()
}

func origin(u *url.URL) string { return strings.ToLower(u.Scheme + "://" + u.Host) }
