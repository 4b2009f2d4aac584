package verdicts_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/smtp"
	"sync"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/pkg/checkpoint"
	"github.com/inngest/inngestgo/step"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

type (
	data  = map[string]any
	input = inngestgo.Input[data]
	body  = func(context.Context, input) (any, error)
	opts  = inngestgo.FunctionOpts
)

// app is an app with one function for each case. It is a [stack.HandlerFunc].
func app(ctx context.Context, env harness.Env) (http.Handler, error) {
	client, err := inngestgo.NewClient(inngestgo.ClientOpts{
		AppID: "plant", Dev: inngestgo.BoolPtr(true), EventKey: &env.EventKey, EventAPIBaseURL: &env.InngestURL,
		APIBaseURL: &env.InngestURL, RegisterURL: inngestgo.StrPtr(env.InngestURL + "/fn/register"),
		Checkpoint: &checkpoint.Config{}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	var errs []error
	add := func(o opts, event, condition string, f body) {
		var when *string
		if condition != "" {
			when = &condition
		}
		if o.Retries == nil {
			o.Retries = inngestgo.IntPtr(2)
		}
		_, err := inngestgo.CreateFunction(client, o, inngestgo.EventTrigger(event, when), f)
		errs = append(errs, err)
	}
	mails := func(ctx context.Context, in input) (any, error) {
		return step.Run(ctx, "mail", func(context.Context) (string, error) { return mail(env, in) })
	}
	report := func(name string) body {
		return func(ctx context.Context, in input) (any, error) {
			return step.Send(ctx, "report", inngestgo.Event{Name: name, Data: in.Event.Data})
		}
	}
	add(opts{ID: "note"}, "note/*", "", mails)
	add(opts{ID: "note-slowly"}, "slow/*", "", func(ctx context.Context, in input) (any, error) {
		step.Sleep(ctx, "pause", 2*time.Second)
		return mails(ctx, in)
	})
	add(opts{ID: "reporter"}, "report/slow", "", report("slow/user.created"))
	add(opts{ID: "picky"}, "pick/asked", "event.data.kind == 'big' && event.data.n >= 3", mails)
	add(opts{ID: "picker"}, "pick/passed", "", report("pick/asked"))
	add(opts{ID: "after-picker"}, "inngest/function.finished",
		"event.data.function_id == 'plant-picker' && event.data.event.data.kind == 'watched'",
		func(context.Context, input) (any, error) {
			return "noted", nil
		})
	add(opts{ID: "once", Idempotency: inngestgo.StrPtr("event.data.to")}, "once/asked", "", mails)
	add(opts{ID: "repeat"}, "repeat/asked", "", func(ctx context.Context, in input) (any, error) {
		if _, err := step.Run(ctx, "first", func(context.Context) (string, error) { return "done", nil }); err != nil {
			return nil, err
		}
		return mails(ctx, in)
	})
	add(opts{ID: "twice"}, "twice/asked", "", func(ctx context.Context, in input) (any, error) {
		key, _ := in.Event.Data["key"].(string)
		for i := range 2 {
			_, err := step.Send(ctx, fmt.Sprint("report-", i), inngestgo.Event{ID: &key, Name: "note/once", Data: in.Event.Data})
			if err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	add(opts{ID: "loop"}, "loop/asked", "", func(ctx context.Context, in input) (any, error) {
		for i := range 3 {
			_, err := step.Run(ctx, "again", func(context.Context) (int, error) {
				if i == 2 {
					return 0, inngestgo.NoRetryError(errors.New("the third fails"))
				}
				return i, nil
			})
			if err != nil {
				return "caught", nil
			}
		}
		return nil, nil
	})
	add(opts{ID: "truthy"}, "loose/asked", "event.data.to && lowercase(event.data.kind) == 'big'", mails)
	add(opts{ID: "lacks"}, "loose/asked", "!has(event.data.missing)", mails)
	add(opts{ID: "escapes"}, "escape/asked", `event.data.s.matches('^A\\d+$')`, mails)
	add(opts{ID: "exact"}, "exact/asked", "", func(ctx context.Context, in input) (any, error) {
		return step.Run(ctx, "id", func(context.Context) (json.RawMessage, error) { return json.RawMessage("9007199254740993"), nil })
	})
	add(opts{ID: "fail"}, "fail/asked", "", func(ctx context.Context, in input) (any, error) {
		return step.Run(ctx, "look", func(context.Context) (any, error) { return nil, inngestgo.NoRetryError(errors.New("it is not there")) })
	})
	add(opts{ID: "hurry"}, "hurry/asked", "", func(ctx context.Context, in input) (any, error) {
		return step.Run(ctx, "begin", func(context.Context) (any, error) { return nil, begin(env, in) })
	})
	add(opts{ID: "approve"}, "approval/asked", "", func(ctx context.Context, in input) (any, error) {
		approval, err := step.WaitForEvent[inngestgo.GenericEvent[data]](ctx, "wait", step.WaitForEventOpts{
			Event: "approval/given", Timeout: time.Hour, If: inngestgo.StrPtr("event.data.to == async.data.to"),
		})
		if err != nil {
			return nil, err
		}
		return step.Run(ctx, "record", func(context.Context) (string, error) { return *approval.ID, nil })
	})
	add(opts{ID: "audit"}, "approval/given", "", func(context.Context, input) (any, error) { return "noted", nil })
	key := inngestgo.StrPtr("event.data.to")
	add(opts{ID: "single", Singleton: &inngestgo.ConfigSingleton{Key: key}}, "single/asked", "",
		func(ctx context.Context, in input) (any, error) {
			if in.Event.Data["hold"] == true {
				if _, err := step.WaitForEvent[any](ctx, "hold",
					step.WaitForEventOpts{Event: "single/released", Timeout: time.Minute,
						If: inngestgo.StrPtr("event.data.to == async.data.to")}); err != nil {
					return nil, err
				}
			}
			return mails(ctx, in)
		})
	add(opts{ID: "limited", RateLimit: &inngestgo.ConfigRateLimit{Limit: 1, Period: time.Minute, Key: key}}, "limited/asked", "",
		mails)
	add(opts{ID: "invoker"}, "invoke/asked", "", func(ctx context.Context, in input) (any, error) {
		function, _ := in.Event.Data["function"].(string)
		invoke := func(id string) error {
			_, err := step.Invoke[any](ctx, id, step.InvokeOpts{FunctionId: "plant-" + function, Data: in.Event.Data})
			return err
		}
		if err := invoke("first"); err != nil {
			return nil, err
		}
		return invoke("second") != nil, nil
	})
	add(opts{ID: "debounced", Debounce: &inngestgo.ConfigDebounce{Period: 8 * time.Second, Key: *key}}, "debounced/asked", "",
		mails)
	add(opts{ID: "settled", Debounce: &inngestgo.ConfigDebounce{Period: time.Hour, Key: *key}}, "settled/asked", "", mails)
	add(opts{ID: "throttled", Throttle: &inngestgo.ConfigThrottle{Limit: 1, Period: 10 * time.Second, Key: key}}, "throttled/asked", "", mails)
	batch := func(timeout time.Duration) *inngestgo.ConfigBatchEvents {
		return &inngestgo.ConfigBatchEvents{MaxSize: 2, Timeout: timeout, Key: key}
	}
	add(opts{ID: "batched", BatchEvents: batch(20 * time.Second)}, "batched/asked", "", mails)
	add(opts{ID: "fan"}, "fan/asked", "", func(ctx context.Context, in input) (any, error) {
		e := inngestgo.Event{Name: "batched/asked", Data: in.Event.Data}
		return step.SendMany(ctx, "both", []inngestgo.Event{e, e})
	})
	add(opts{ID: "gathered", BatchEvents: batch(gathering)}, "gathered/asked", "", mails)
	add(opts{ID: "dated"}, "dated/asked", "date(event.data.at) < now()", mails)
	mux := http.NewServeMux()
	mux.Handle("/api/inngest", client.Serve())
	mux.HandleFunc("POST /send", func(w http.ResponseWriter, r *http.Request) {
		id, err := client.Send(r.Context(), inngestgo.Event{Name: r.FormValue("event"), Data: data{"to": r.FormValue("to")}})
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		_, _ = io.WriteString(w, id)
	})
	return mux, errors.Join(errs...)
}

// gathering is the timeout of a batch.
const gathering = 10 * time.Second

// mail sends an email to the recipient in the event, by the run.
func mail(env harness.Env, in input) (string, error) {
	to, _ := in.Event.Data["to"].(string)
	text := fmt.Sprintf("From: app@plant.test\r\nTo: %s\r\nSubject: Hello\r\nX-Inngest-Run-Id: %s\r\n\r\nHello.\r\n", to,
		in.InputCtx.RunID)
	return to, smtp.SendMail(env.SMTPAddr, nil, "app@plant.test", []string{to}, []byte(text))
}

// held are the deliveries that wait, by recipient: what they receive lets them go on, with what they send they have ended.
var held sync.Map

// begin begins to deliver an email, and goes on in the background.
func begin(env harness.Env, in input) error {
	to, _ := in.Event.Data["to"].(string)
	wait := make(chan struct{})
	held.Store(to, wait)
	c, err := smtp.Dial(env.SMTPAddr)
	if err != nil {
		return err
	}
	if err := errors.Join(c.Mail("app@plant.test"), c.Rcpt(to)); err != nil {
		return err
	}
	go func() {
		<-wait
		if w, err := c.Data(); err == nil {
			_, _ = fmt.Fprintf(w, "Subject: Hello\r\nX-Inngest-Run-Id: %s\r\n\r\nHello.\r\n", in.InputCtx.RunID)
			_ = w.Close()
		}
		_ = c.Close()
		close(wait)
	}()
	return nil
}

// goOn lets the delivery to a recipient go on, and returns when it has ended.
func goOn(to string) {
	wait, _ := held.Load(to)
	wait.(chan struct{}) <- struct{}{}
	<-wait.(chan struct{})
}

// numbers makes recipients that no other test has.
var numbers struct {
	sync.Mutex
	last int
}

func recipient() string {
	numbers.Lock()
	defer numbers.Unlock()
	numbers.last++
	return fmt.Sprintf("kim%d.%d@plant.test", numbers.last, time.Now().UnixNano())
}
