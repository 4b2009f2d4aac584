package stack

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// routes are the addresses at which app and servers reach each other: those of the recording proxies, or the servers' own
// on a stack without taps.
type routes struct {
	ends harness.Endpoints
	taps *tap.Set // nil on a stack without taps; then calls, api and mail are nil too

	calls *tap.Wire // Inngest → app
	api   *tap.Wire // app → Inngest
	mail  *tap.Wire // app → mail server
}

func newRoutes(ends harness.Endpoints, o Options) (_ *routes, err error) {
	r := &routes{ends: ends}
	if o.WithoutTaps {
		return r, nil
	}
	if o.Ports.App != 0 {
		if err := port.Check(o.Ports.App, "the app"); err != nil {
			return nil, err
		}
	}
	r.taps = tap.New(tap.Options{AppPath: o.AppPath, RunHeader: o.RunHeader, Connected: o.Connect})
	defer func() {
		if err != nil {
			_ = r.taps.Close(context.Background()) // nothing uses them yet
		}
	}()
	if r.calls, err = r.taps.Calls(loopback(o.Ports.App), ""); err != nil {
		return nil, err
	}
	if r.api, err = r.taps.API(loopback(0), ends.Inngest); err != nil {
		return nil, err
	}
	if r.mail, err = r.taps.SMTP(loopback(0), ends.SMTP); err != nil {
		return nil, err
	}
	return r, nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// listenAddr is where the app's next incarnation listens. Behind a tap it is a new port each time, so that two
// incarnations can run while one replaces the other.
func (r *routes) listenAddr(appPort int) (string, error) {
	if r.calls != nil {
		appPort = 0
	}
	if appPort != 0 {
		return loopback(appPort), port.Check(appPort, "the app")
	}
	ports, err := port.Free(1)
	if err != nil {
		return "", err
	}
	return loopback(ports[0]), nil
}

// portTaken reports whether another process is listening on an address that was chosen for an app that has ended.
func (r *routes) portTaken(addr string) bool {
	_, number, _ := net.SplitHostPort(addr)
	n, err := strconv.Atoi(number)
	return r.calls != nil && err == nil && port.Check(n, "the app") != nil
}

// appAddr is the address at which the app that listens on addr is reached.
func (r *routes) appAddr(addr string) string {
	if r.calls != nil {
		return r.calls.Addr()
	}
	return addr
}

// toApp directs calls to the incarnation whose instances listen on addrs.
func (r *routes) toApp(addrs ...string) error {
	if r.calls == nil {
		return nil
	}
	var urls []string
	for _, addr := range addrs {
		urls = append(urls, "http://"+addr)
	}
	return r.calls.SetTarget(urls...)
}

// inngestURL is the base URL at which the app reaches the Inngest server.
func (r *routes) inngestURL() string {
	if r.api != nil {
		return r.api.URL()
	}
	return r.ends.Inngest
}

// smtpAddr is the address to which the app sends mail.
func (r *routes) smtpAddr() string {
	if r.mail != nil {
		return r.mail.Addr()
	}
	return r.ends.SMTP
}

func (r *routes) close(ctx context.Context) error {
	if r.taps == nil {
		return nil
	}
	if err := r.taps.Close(ctx); err != nil {
		return fmt.Errorf("close the taps: %w", err)
	}
	return nil
}
