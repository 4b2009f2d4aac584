package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/pkg/checkpoint"
	"github.com/inngest/inngestgo/step"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// benchSim measures what sim adds to an app's own time, beside the app's handler called alone with the same requests, in
// turns, and what time costs that is jumped over.
func benchSim(ctx context.Context, n int) ([]figure, error) {
	var all []figure
	for _, measure := range []func(context.Context, int) ([]figure, error){benchSimRuns, benchSimCheckpoints, benchSimTime, benchSimEmails} {
		figures, err := measure(ctx, n)
		if err != nil {
			return nil, err
		}
		all = append(all, figures...)
	}
	return all, nil
}

// perEvent is how many of sim's runs, which take a fraction of a millisecond, are measured for each event of the others.
const perEvent = 10

// simApp is an app on a Sim, with functions for two events.
type simApp struct {
	sim     *sim.Sim
	handler http.Handler
	close   func()
}

const (
	threeSteps     = "bench/three-steps"
	monthAndLadder = "bench/month-and-ladder"
)

// newSimApp makes one without checkpoints, or one with them, which need a socket.
func newSimApp(ctx context.Context, o sim.Options, checkpoints bool) (*simApp, error) {
	o.Keep = 100
	a := &simApp{sim: sim.New(o)}
	a.close = func() { _ = a.sim.Close(context.Background()) }
	url := sim.BaseURL
	if checkpoints {
		server := httptest.NewServer(a.sim.Handler())
		a.close = func() { server.Close(); _ = a.sim.Close(context.Background()) }
		url = server.URL
	}
	handler, err := newBenchApp(url, a.sim.SigningKey(), checkpoints)
	if err == nil {
		err = a.sim.RegisterHandler(ctx, handler)
	}
	if err != nil {
		a.close()
		return nil, err
	}
	a.handler = handler
	return a, nil
}

func newBenchApp(url, signingKey string, checkpoints bool) (http.Handler, error) {
	o := inngestgo.ClientOpts{
		AppID: "bench", Dev: inngestgo.BoolPtr(true), SigningKey: &signingKey, APIBaseURL: &url, Logger: slog.New(slog.DiscardHandler),
	}
	if checkpoints {
		o.Checkpoint = &checkpoint.Config{}
	}
	client, err := inngestgo.NewClient(o)
	if err != nil {
		return nil, err
	}
	type in = inngestgo.Input[map[string]any]
	_, err = inngestgo.CreateFunction(client, inngestgo.FunctionOpts{ID: "three-steps"}, inngestgo.EventTrigger(threeSteps, nil),
		func(ctx context.Context, _ in) (any, error) {
			for _, id := range []string{"fetch-request-details", "get-technician-email", "send-email"} {
				if _, err := step.Run(ctx, id, func(context.Context) (map[string]string, error) {
					return map[string]string{"id": id, "result": "some result of a usual size"}, nil
				}); err != nil {
					return nil, err
				}
			}
			return "done", nil
		})
	if err != nil {
		return nil, err
	}
	_, err = inngestgo.CreateFunction(client, inngestgo.FunctionOpts{ID: "month-and-ladder"}, inngestgo.EventTrigger(monthAndLadder, nil),
		func(ctx context.Context, _ in) (any, error) {
			step.Sleep(ctx, "month", 30*24*time.Hour)
			return step.Run(ctx, "flaky", func(context.Context) (int, error) { return 0, errors.New("no luck") })
		})
	return client.Serve(), err
}

// run measures one run, from sending its event to its end.
func (a *simApp) run(ctx context.Context, event string) (time.Duration, error) {
	began := time.Now()
	if _, err := a.sim.Send(ctx, harness.Event{Name: event, Data: map[string]any{"n": 1}}); err != nil {
		return 0, err
	}
	err := a.sim.Run(ctx)
	return time.Since(began), err
}

// calls returns the bodies of a run's calls, as the Sim makes them.
func (a *simApp) calls(ctx context.Context) (bodies [][]byte, err error) {
	listening := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, readErr := io.ReadAll(r.Body)
		err = errors.Join(err, readErr)
		if r.Method == http.MethodPost {
			bodies = append(bodies, body)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		a.handler.ServeHTTP(w, r)
	})
	if err := a.sim.RegisterHandler(ctx, listening); err != nil {
		return nil, err
	}
	if _, err := a.run(ctx, threeSteps); err != nil {
		return nil, err
	}
	return bodies, errors.Join(err, a.sim.RegisterHandler(ctx, a.handler))
}

// floor measures the handler alone.
func floor(handler http.Handler, bodies [][]byte) (time.Duration, error) {
	began := time.Now()
	for _, body := range bodies {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/inngest?fnId=bench-three-steps&stepId=step", bytes.NewReader(body)))
		if w.Code >= 300 {
			return 0, fmt.Errorf("the handler alone answered %d: %s", w.Code, w.Body)
		}
	}
	return time.Since(began), nil
}

func benchSimRuns(ctx context.Context, n int) ([]figure, error) {
	guarded, err := newSimApp(ctx, sim.Options{}, false)
	if err != nil {
		return nil, err
	}
	defer guarded.close()
	unguarded, err := newSimApp(ctx, sim.Options{CallTimeout: -1}, false)
	if err != nil {
		return nil, err
	}
	defer unguarded.close()
	bodies, err := guarded.calls(ctx)
	if err != nil {
		return nil, err
	}
	one, err := inTurns(n*perEvent, []turn{
		{"sim floor: the handler alone, the four calls of a run", func() (time.Duration, error) { return floor(guarded.handler, bodies) }},
		{"sim: a run of three steps", func() (time.Duration, error) { return guarded.run(ctx, threeSteps) }},
		{"sim: the same with CallTimeout: -1", func() (time.Duration, error) { return unguarded.run(ctx, threeSteps) }},
	})
	if err != nil {
		return nil, err
	}
	many, err := inTurns(max(n*perEvent/batch, 10), []turn{
		{fmt.Sprintf("sim floor: the handler alone, one of %d runs", batch), func() (time.Duration, error) {
			return each(func() (time.Duration, error) { return floor(guarded.handler, bodies) })
		}},
		{fmt.Sprintf("sim: one of %d runs of three steps", batch), func() (time.Duration, error) { return guarded.runs(ctx, threeSteps) }},
	})
	return append(one, many...), err
}

// batch is how many runs are measured together.
const batch = 100

// each measures a batch of one thing, and returns the time of one.
func each(one func() (time.Duration, error)) (time.Duration, error) {
	var sum time.Duration
	for range batch {
		d, err := one()
		if err != nil {
			return 0, err
		}
		sum += d
	}
	return sum / batch, nil
}

// runs measures a batch of runs whose events are all sent before the Sim is driven, and returns the time of one.
func (a *simApp) runs(ctx context.Context, event string) (time.Duration, error) {
	began := time.Now()
	for range batch {
		if _, err := a.sim.Send(ctx, harness.Event{Name: event, Data: map[string]any{"n": 1}}); err != nil {
			return 0, err
		}
	}
	err := a.sim.Run(ctx)
	return time.Since(began) / batch, err
}

// benchSimCheckpoints measures the same with checkpoints, which the SDK sends over a socket: the floor sends them to a
// server that only says yes.
func benchSimCheckpoints(ctx context.Context, n int) ([]figure, error) {
	app, err := newSimApp(ctx, sim.Options{}, true)
	if err != nil {
		return nil, err
	}
	defer app.close()
	bodies, err := app.calls(ctx)
	if err != nil {
		return nil, err
	}
	yes := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
	}))
	defer yes.Close()
	alone, err := newBenchApp(yes.URL, app.sim.SigningKey(), true)
	if err != nil {
		return nil, err
	}
	defer http.DefaultClient.CloseIdleConnections() // the SDK's, which nobody else closes
	return inTurns(n*perEvent/2, []turn{
		{"sim floor: with checkpoints, to a server that says yes", func() (time.Duration, error) { return floor(alone, bodies) }},
		{"sim: a run of three steps with checkpoints", func() (time.Duration, error) { return app.run(ctx, threeSteps) }},
	})
}

func benchSimTime(ctx context.Context, n int) ([]figure, error) {
	app, err := newSimApp(ctx, sim.Options{}, false)
	if err != nil {
		return nil, err
	}
	defer app.close()
	return inTurns(n*perEvent, []turn{
		{"sim: a sleep of 30 days and a full ladder of retries", func() (time.Duration, error) { return app.run(ctx, monthAndLadder) }},
	})
}

// benchSimEmails measures event → email with MailHog, on stacks with taps and without.
func benchSimEmails(ctx context.Context, n int) ([]figure, error) {
	tapped, err := newBed(ctx, simstack.New(local.New(local.Options{}), simstack.Options{}), stack.Options{})
	if err != nil {
		return nil, err
	}
	defer tapped.close(context.WithoutCancel(ctx))
	plain, err := newBed(ctx, simstack.New(local.New(local.Options{}), simstack.Options{}), stack.Options{WithoutTaps: true})
	if err != nil {
		return nil, err
	}
	defer plain.close(context.WithoutCancel(ctx))
	push, err := listen(ctx, plain.stack.Endpoints().MailHog)
	if err != nil {
		return nil, err
	}
	defer push.CloseNow()
	return inTurns(n, []turn{
		{"event → email on sim, floor: bare HTTP, MailHog's push", func() (time.Duration, error) { return plain.bareEvent(ctx, push) }},
		{"event → email on sim, harness: taps, client, inbox", func() (time.Duration, error) { return tapped.event(ctx) }},
	})
}

// turn is one of several things that are measured in turns.
type turn struct {
	name    string
	measure func() (time.Duration, error)
}

// inTurns measures each of them n times. The first is the floor: the notes of the others say what they add to it.
func inTurns(n int, turns []turn) ([]figure, error) {
	samples := make([][]time.Duration, len(turns))
	for i := range n {
		for j, t := range turns {
			d, err := t.measure()
			if err != nil {
				return nil, fmt.Errorf("%s, measurement %d: %w", t.name, i+1, err)
			}
			samples[j] = append(samples[j], d)
		}
	}
	var figures []figure
	for j, t := range turns {
		f := measured(t.name, samples[j])
		if j > 0 {
			f.Note = fmt.Sprintf("%+.1f %% to the floor (medians)", 100*(f.Median/figures[0].Median-1))
		}
		figures = append(figures, f)
	}
	return figures, nil
}
