package stack_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/smtp"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/pkg/checkpoint"
	"github.com/inngest/inngestgo/step"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

var suite = harnesstest.New(harnesstest.Options{
	Backends: []harness.Backend{local.New(local.Options{})},
	Fixed:    true, // what a verdict is worth does not depend on the backend: the suite in e2e runs on each
	Handler:  newShop,
})

func TestMain(m *testing.M) {
	if os.Getenv(serveVariable) != "" {
		fmt.Println(serveShop())
		os.Exit(3)
	}
	os.Exit(suite.Main(m))
}

// serveVariable makes this test binary the shop as a program.
const serveVariable = "SHOP_SERVE"

// shopProgram is the shop as a program, with further variables.
func shopProgram(env ...string) stack.Command {
	return stack.Command{Args: []string{os.Args[0]}, Env: append(env, serveVariable+"=1")}
}

// diesOfTheSync ends the program when it is asked to register.
func diesOfTheSync(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			fmt.Println("that was too much")
			os.Exit(4)
		}
		h.ServeHTTP(w, r)
	})
}

// serveShop serves the shop as its environment says, and prints its secrets.
func serveShop() error {
	fmt.Println("the key is", os.Getenv("SHOP_API_KEY"), "and the database", os.Getenv("SHOP_DB"))
	fmt.Println("AUTH PLAIN AGtpbQBzZWNyZXQ=")
	if os.Getenv("SHOP_FAIL") != "" {
		return errors.New("it cannot start")
	}
	h, err := newShop(context.Background(), harness.Env{
		InngestURL: os.Getenv("INNGEST_DEV"), EventKey: os.Getenv("INNGEST_EVENT_KEY"),
		SMTPAddr: net.JoinHostPort(os.Getenv("MAIL_HOST"), os.Getenv("MAIL_PORT")),
	})
	if err != nil {
		return err
	}
	if os.Getenv("SHOP_DIES") != "" {
		h = diesOfTheSync(h)
	}
	mux := http.NewServeMux()
	mux.Handle("/", h)
	mux.HandleFunc("POST /exit", func(http.ResponseWriter, *http.Request) { os.Exit(5) })
	return http.ListenAndServe(net.JoinHostPort("127.0.0.1", os.Getenv("PORT")), mux)
}

// order is the data of the events that start the shop's functions.
type order struct {
	To string `json:"to"`
	// Unsigned leaves the run's id out of the email.
	Unsigned bool `json:"unsigned"`
	// Run is named in the email in place of the run that sends it.
	Run string `json:"run"`
	// EventID is the idempotency key of the event that forward sends.
	EventID string `json:"eventId"`
}

// newShop makes a small app with one function for each thing that a trace has to follow.
func newShop(_ context.Context, env harness.Env) (http.Handler, error) {
	dev := true
	registerURL := env.InngestURL + "/fn/register"
	client, err := inngestgo.NewClient(inngestgo.ClientOpts{
		AppID: "shop", Dev: &dev, EventKey: &env.EventKey, EventAPIBaseURL: &env.InngestURL, APIBaseURL: &env.InngestURL,
		RegisterURL: &registerURL, Checkpoint: &checkpoint.Config{}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	add := func(id, event string, expression *string, do func(ctx context.Context, in inngestgo.Input[order]) (any, error)) {
		_, e := inngestgo.CreateFunction(client, inngestgo.FunctionOpts{ID: id, Retries: inngestgo.IntPtr(0)}, inngestgo.EventTrigger(event, expression), do)
		err = errors.Join(err, e)
	}
	mail := func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
		return step.Run(ctx, "send-email", func(context.Context) (string, error) {
			return in.Event.Data.To, send(env.SMTPAddr, in.Event.Data, in.InputCtx.RunID)
		})
	}
	add("confirm", "shop/ordered", nil, mail)
	add("ship", "shop/shipped", nil, func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
		return step.Send(ctx, "tell", inngestgo.Event{Name: "shop/ordered", Data: map[string]any{"to": in.Event.Data.To}})
	})
	add("gift", "shop/gifted", nil, func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
		return step.Invoke[any](ctx, "wrap", step.InvokeOpts{FunctionId: "shop-confirm", Data: map[string]any{"to": in.Event.Data.To}})
	})
	add("forward", "shop/forwarded", nil, func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
		e := inngestgo.Event{Name: "shop/ordered", Data: map[string]any{"to": in.Event.Data.To}}
		if id := in.Event.Data.EventID; id != "" {
			e.ID = &id
		}
		_, err := client.Send(ctx, e) // outside the steps
		return "forwarded", err
	})
	add("blab", "shop/blabbed", nil, func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
		key := os.Getenv("SHOP_API_KEY")
		fmt.Println("the key is", key, "and the database", os.Getenv("SHOP_DB"))
		fmt.Println("AUTH PLAIN AGtpbQBzZWNyZXQ=")
		if _, err := step.Run(ctx, "tell", func(context.Context) (string, error) { return key, nil }); err != nil {
			return nil, err
		}
		return step.Run(ctx, "write", func(context.Context) (string, error) {
			err := sendText(env.SMTPAddr, in.Event.Data.To, in.InputCtx.RunID, "Your key is "+key+".")
			return "", errors.Join(err, errors.New("refused with "+key))
		})
	})
	add("sleep", "shop/slept", nil, func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
		step.Sleep(ctx, "a-day", 24*time.Hour)
		return "rested", nil
	})
	add("broken", "shop/broken", nil, func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
		return step.Run(ctx, "break", func(context.Context) (string, error) { return "", errors.New("it broke") })
	})
	add("watch", "shop/watched", nil, func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
		return step.Run(ctx, "open", func(ctx context.Context) (string, error) {
			err := watch(ctx, cmp.Or(env.MongoURI, os.Getenv("MONGODB_URI")))
			if in.Event.Data.To != "" { // with a recipient, the cause is in the log alone
				fmt.Println("watch the orders:", err)
				err = errors.New("the orders are not watched")
			}
			return "", err
		})
	})
	add("note-failure", "inngest/function.failed", inngestgo.StrPtr("event.data.function_id == 'shop-broken'"), func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
		return "noted", nil
	})
	add("hasty", "shop/hurried", nil, func(_ context.Context, in inngestgo.Input[order]) (any, error) {
		time.AfterFunc(10*time.Millisecond, func() { _ = send(env.SMTPAddr, in.Event.Data, in.InputCtx.RunID) })
		return "not awaited", nil
	})
	add("audit", "audit/*", nil, mail)
	add("relay", "shop/relayed", nil, func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
		return step.Send(ctx, "report", inngestgo.Event{Name: "audit/order.relayed", Data: map[string]any{"to": in.Event.Data.To}})
	})
	cancelled := []inngestgo.ConfigCancel{{Event: "shop/withdrawn", If: inngestgo.StrPtr("event.data.to == async.data.to")}}
	_, e := inngestgo.CreateFunction(client, inngestgo.FunctionOpts{ID: "slow", Retries: inngestgo.IntPtr(0), Cancel: cancelled}, inngestgo.EventTrigger("shop/slow", nil),
		func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
			return step.Run(ctx, "send-late", func(context.Context) (string, error) {
				slow.wait(in.Event.Data.To)
				return in.Event.Data.To, send(env.SMTPAddr, in.Event.Data, in.InputCtx.RunID)
			})
		})
	err = errors.Join(err, e)
	add("note-cancelled", "inngest/function.cancelled", inngestgo.StrPtr("event.data.function_id == 'shop-slow'"), func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
		return "noted", nil
	})
	_, e = inngestgo.CreateFunction(client, inngestgo.FunctionOpts{ID: "sole", Singleton: &inngestgo.ConfigSingleton{Key: inngestgo.StrPtr("event.data.to")}},
		inngestgo.EventTrigger("shop/sole", nil), func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
			step.Sleep(ctx, "a-day", 24*time.Hour)
			return nil, nil
		})
	err = errors.Join(err, e)
	add("survey", "shop/surveyed", nil, func(context.Context, inngestgo.Input[order]) (any, error) { return "asked", nil })
	add("note-finished", "inngest/function.finished", inngestgo.StrPtr("event.data.function_id == 'shop-survey'"), func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
		return "noted", nil
	})
	mux := http.NewServeMux()
	mux.Handle("/api/inngest", client.Serve())
	return mux, err
}

// slow lets tests decide when the function slow goes on.
var slow = gates{open: map[string]chan struct{}{}}

// gates are closed until they are opened, one for each recipient.
type gates struct {
	mu   sync.Mutex
	open map[string]chan struct{}
}

func (g *gates) gate(to string) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open[to] == nil {
		g.open[to] = make(chan struct{})
	}
	return g.open[to]
}

func (g *gates) wait(to string) { <-g.gate(to) }

func send(addr string, o order, run string) error {
	header := fmt.Sprintf("X-Inngest-Run-Id: %s\r\n", cmp.Or(o.Run, run))
	if o.Unsigned {
		header = ""
	}
	text := fmt.Sprintf("From: shop@shop.test\r\nTo: %s\r\nSubject: Your order\r\n%s\r\nThank you.\r\n", o.To, header)
	return smtp.SendMail(addr, nil, "shop@shop.test", []string{o.To}, []byte(text))
}

func sendText(addr, to, run, text string) error {
	message := fmt.Sprintf("From: shop@shop.test\r\nTo: %s\r\nSubject: A word\r\nX-Inngest-Run-Id: %s\r\n\r\n%s\r\n", to, run, text)
	return smtp.SendMail(addr, nil, "shop@shop.test", []string{to}, []byte(message))
}
