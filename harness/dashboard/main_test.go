package dashboard_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/smtp"
	"os"
	"sync/atomic"
	"testing"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"
	"go.uber.org/goleak"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
)

var suite = harnesstest.New(harnesstest.Options{
	Fixed:    true, // what a page shows does not depend on the backend
	Backends: []harness.Backend{local.New(local.Options{})},
	Handler:  newShop,
})

func TestMain(m *testing.M) {
	code := suite.Main(m)
	http.DefaultClient.CloseIdleConnections()
	// The SDK never closes the answer to its registration. All tests are over here, so that none is taken for a leak of
	// another's.
	err := goleak.Find(goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
	if err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// order is the data of the events that the shop subscribes to.
type order struct {
	To string `json:"to"`
}

// newShop makes an app that confirms orders by email.
func newShop(_ context.Context, env harness.Env) (http.Handler, error) {
	dev, register := true, env.InngestURL+"/fn/register"
	client, err := inngestgo.NewClient(inngestgo.ClientOpts{
		AppID: "shop", Dev: &dev, EventKey: &env.EventKey, EventAPIBaseURL: &env.InngestURL, APIBaseURL: &env.InngestURL,
		RegisterURL: &register, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	_, err = inngestgo.CreateFunction(client, inngestgo.FunctionOpts{ID: "confirm", Retries: inngestgo.IntPtr(0)}, inngestgo.EventTrigger("shop/ordered", nil),
		func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
			to, err := step.Run(ctx, "load-order", func(context.Context) (string, error) {
				if in.Event.Data.To == "" {
					return "", inngestgo.NoRetryError(errors.New("the order names no recipient"))
				}
				return in.Event.Data.To, nil
			})
			if err != nil {
				return nil, err
			}
			return step.Run(ctx, "send-email", func(context.Context) (string, error) {
				text := fmt.Sprintf("From: shop@shop.test\r\nTo: %s\r\nSubject: Your order\r\nX-Inngest-Run-Id: %s\r\n"+
					"MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<p onclick=alert(1)>Thank you.</p>\r\n", to, in.InputCtx.RunID)
				return to, smtp.SendMail(env.SMTPAddr, nil, "shop@shop.test", []string{to}, []byte(text))
			})
		})
	mux := http.NewServeMux()
	mux.Handle("/api/inngest", client.Serve())
	var closed atomic.Bool
	mux.HandleFunc("PUT /api/inngest", func(w http.ResponseWriter, r *http.Request) {
		if closed.Load() {
			http.Error(w, "the shop is closed", http.StatusServiceUnavailable)
			return
		}
		client.Serve().ServeHTTP(w, r)
	})
	mux.HandleFunc("POST /close", func(http.ResponseWriter, *http.Request) { closed.Store(true) })
	mux.HandleFunc("POST /open", func(http.ResponseWriter, *http.Request) { closed.Store(false) })
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Type") != "application/json" {
			http.Error(w, "no JSON", http.StatusBadRequest)
			return
		}
		var o struct {
			ID string `json:"id"`
			To string `json:"to"`
		}
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(o)
		if o.ID != "" {
			_, _ = client.Send(r.Context(), inngestgo.Event{Name: "shop/ordered", Data: map[string]any{"order": o.ID, "to": o.To}})
		}
	})
	return mux, err
}
