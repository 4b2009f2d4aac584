package harness

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// wires are the addresses through which app and servers talk to each other: those of the recording proxies, or the
// servers' own on a stack without taps.
type wires struct {
	ends Endpoints
	taps *tap.Set // nil on a stack without taps; then calls, api and mail are nil too

	calls *tap.Wire // Inngest → app
	api   *tap.Wire // app → Inngest
	mail  *tap.Wire // app → MailHog
}

func newWires(ends Endpoints, o Options) (_ *wires, err error) {
	w := &wires{ends: ends}
	if o.WithoutTaps {
		return w, nil
	}
	if o.Ports.App != 0 {
		if err := port.Check(o.Ports.App, "the app"); err != nil {
			return nil, err
		}
	}
	w.taps = tap.New(tap.Options{AppPath: o.AppPath, RunHeader: o.RunHeader})
	defer func() {
		if err != nil {
			_ = w.taps.Close(context.Background()) // nothing crosses yet
		}
	}()
	if w.calls, err = w.taps.Calls(loopback(o.Ports.App), ""); err != nil {
		return nil, err
	}
	if w.api, err = w.taps.API(loopback(0), ends.Inngest); err != nil {
		return nil, err
	}
	if w.mail, err = w.taps.SMTP(loopback(0), ends.SMTP); err != nil {
		return nil, err
	}
	return w, nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// listen is where the app's next incarnation listens. Behind a tap that is a port nobody sees, a new one each time, so
// that two incarnations can be up while one takes over from the other.
func (w *wires) listen(appPort int) (string, error) {
	if w.calls != nil {
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

// robbed says whether somebody else listens on an address that was chosen for an app, which has ended by now.
func (w *wires) robbed(addr string) bool {
	_, number := splitAddr(addr)
	n, err := strconv.Atoi(number)
	return w.calls != nil && err == nil && port.Check(n, "the app") != nil
}

// app is the address at which the app that listens on addr is reached.
func (w *wires) app(addr string) string {
	if w.calls != nil {
		return w.calls.Addr()
	}
	return addr
}

// toApp makes app lead to the incarnation that listens on addr.
func (w *wires) toApp(addr string) error {
	if w.calls == nil {
		return nil
	}
	return w.calls.SetTarget("http://" + addr)
}

// inngest is the base URL at which the app reaches the Inngest server.
func (w *wires) inngest() string {
	if w.api != nil {
		return w.api.URL()
	}
	return w.ends.Inngest
}

// smtp is the address to which the app sends mail.
func (w *wires) smtp() string {
	if w.mail != nil {
		return w.mail.Addr()
	}
	return w.ends.SMTP
}

func (w *wires) close(ctx context.Context) error {
	if w.taps == nil {
		return nil
	}
	if err := w.taps.Close(ctx); err != nil {
		return fmt.Errorf("close the taps: %w", err)
	}
	return nil
}
