package property

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/smtp"
	"strings"
	"sync"
	"time"

	"github.com/inngest/inngestgo"
	sdkerrors "github.com/inngest/inngestgo/errors"
	"github.com/inngest/inngestgo/group"
	"github.com/inngest/inngestgo/pkg/checkpoint"
	"github.com/inngest/inngestgo/step"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// pace is how long the things take that take time.
type pace struct{ sleep, wait, linger time.Duration }

// A player plays an App: it makes its functions, and keeps the account of what they do.
type player struct {
	app  App
	pace pace
	account

	client inngestgo.Client
	env    harness.Env
}

func newPlayer(app App, w place) *player {
	return &player{app: app, pace: w.pace(), account: account{runs: map[string]*ranRun{}}}
}

// appID is the id of every app: the next one in a place takes the place of the last.
const appID = "plant"

type input = inngestgo.Input[map[string]any]

// handler is a [stack.HandlerFunc].
func (p *player) handler(_ context.Context, env harness.Env) (http.Handler, error) {
	o := inngestgo.ClientOpts{
		AppID: appID, Dev: inngestgo.BoolPtr(true), EventKey: &env.EventKey,
		EventAPIBaseURL: &env.InngestURL, APIBaseURL: &env.InngestURL,
		RegisterURL: inngestgo.StrPtr(env.InngestURL + "/fn/register"), Logger: slog.New(slog.DiscardHandler),
	}
	if p.app.Checkpoint {
		o.Checkpoint = &checkpoint.Config{}
	}
	client, err := inngestgo.NewClient(o)
	if err != nil {
		return nil, err
	}
	p.client, p.env = client, env
	for i, f := range p.app.Functions {
		if err := p.register(i, f); err != nil {
			return nil, err
		}
	}
	serve := client.Serve()
	mux := http.NewServeMux()
	mux.HandleFunc(harness.DefaultAppPath, func(w http.ResponseWriter, r *http.Request) {
		p.opened(+1)
		defer p.opened(-1)
		serve.ServeHTTP(w, r)
	})
	return mux, nil
}

func name(i int) string { return fmt.Sprintf("f%d", i) }

func (p *player) register(i int, f Function) error {
	o := inngestgo.FunctionOpts{ID: name(i), Retries: inngestgo.IntPtr(f.Retries)}
	if f.Cancel != "" {
		c := inngestgo.ConfigCancel{Event: f.Cancel}
		if f.SameID {
			c.If = inngestgo.StrPtr("event.data.id == async.data.id")
		}
		o.Cancel = []inngestgo.ConfigCancel{c}
	}
	var when *string
	if f.About > 0 {
		when = inngestgo.StrPtr(fmt.Sprintf("event.data.function_id == '%s-%s'", appID, name(f.About-1)))
	} else if f.IfA {
		when = inngestgo.StrPtr("event.data.id == 'a'")
	}
	trigger := inngestgo.EventTrigger(f.On, when)
	_, err := inngestgo.CreateFunction(p.client, o, trigger, func(ctx context.Context, in input) (any, error) {
		c := &call{player: p, function: f, run: p.called(in.InputCtx.RunID, i, in), used: map[string]int{}}
		err := c.do(ctx, f.Body) // a step that has not been executed yet ends the call here
		p.returned(c, err)
		return "done", err
	})
	return err
}

// A call is one pass through the body of a function.
type call struct {
	*player
	function Function
	run      *ranRun
	used     map[string]int // how often each id has been used so far
	executed []*ranStep     // steps whose code was executed in this call
}

func (c *call) do(ctx context.Context, body []Op) error {
	for _, o := range body {
		if err := c.one(ctx, o); err != nil && !o.Catch {
			return err
		}
	}
	return nil
}

func (c *call) one(ctx context.Context, o Op) error {
	switch o.Do {
	case doStep, doSend:
		s := c.step(c.run, o.ID, c.next(o.ID))
		_, err := step.Run(ctx, o.ID, func(ctx context.Context) (string, error) { return c.inStep(ctx, o, s) })
		c.over(s, err)
		return err
	case doSleep:
		s := c.step(c.run, o.ID, c.next(o.ID))
		step.Sleep(ctx, o.ID, c.pace.sleep)
		c.over(s, nil)
	case doWait:
		s := c.step(c.run, o.ID, c.next(o.ID))
		w := step.WaitForEventOpts{Event: o.Event, Timeout: c.pace.wait}
		if o.SameID {
			w.If = inngestgo.StrPtr("event.data.id == async.data.id")
		}
		_, _ = step.WaitForEvent[inngestgo.Event](ctx, o.ID, w) // whether one came does not matter
		c.over(s, nil)
	case doInvoke:
		s := c.step(c.run, o.ID, c.next(o.ID))
		c.invoking(s, o.Function)
		_, err := step.Invoke[any](ctx, o.ID, step.InvokeOpts{FunctionId: appID + "-" + name(o.Function), Data: c.data(o)})
		c.over(s, err)
		return err
	case doParallel:
		var branches []func(context.Context) (any, error)
		for _, b := range o.Inside {
			branches = append(branches, func(ctx context.Context) (any, error) { return nil, c.one(ctx, b) })
		}
		return group.Parallel(ctx, branches...).AnyError()
	case doFail:
		if n := c.failing(c.run); n <= o.Fails {
			return failure(o, n)
		}
	default:
		return c.act(ctx, o)
	}
	return nil
}

// next returns which use of a step's id this one is, from 1.
func (c *call) next(id string) int {
	c.used[id]++
	return c.used[id]
}

// inStep is the code of a step.
func (c *call) inStep(ctx context.Context, o Op, s *ranStep) (string, error) {
	n := c.tried(c, s)
	if o.Do == doSend {
		id, err := c.post(ctx, o)
		c.tell(s, err)
		return id, err
	}
	for _, in := range o.Inside {
		if err := c.act(ctx, in); err != nil {
			c.tell(s, err)
			return "", err
		}
	}
	var err error
	if n <= o.Fails {
		err = failure(o, n)
	}
	c.tell(s, err)
	return fmt.Sprintf("try %d", n), err
}

func failure(o Op, n int) error {
	err := fmt.Errorf("try %d failed", n)
	if o.Final {
		return sdkerrors.NoRetryError(err)
	}
	return err
}

// act does what is no step.
func (c *call) act(ctx context.Context, o Op) error {
	switch o.Do {
	case doMail:
		return c.mail(o)
	case doPost:
		if c.sentAlready() < mostPosts {
			_, err := c.post(ctx, o)
			return err
		}
	case doLinger:
		time.Sleep(c.pace.linger) // the app is slow; nothing waits for it by time
	}
	return nil
}

// mostPosts bounds the events that an app sends past its steps: a body is executed several times.
const mostPosts = 8

// data is that of an event that the run sends: it names the run, and passes on the id of its own event.
func (c *call) data(o Op) map[string]any {
	return map[string]any{"by": c.run.id, "id": otherID(cmp.Or(c.run.eventID, "a"), o.Other)}
}

func otherID(id string, other bool) string {
	switch {
	case !other:
		return id
	case id == "a":
		return "b"
	default:
		return "a"
	}
}

func (c *call) post(ctx context.Context, o Op) (string, error) {
	data := c.data(o)
	e := c.sending(o.Event, c.run.id, data["id"].(string))
	id, err := c.client.Send(ctx, inngestgo.Event{Name: o.Event, Data: data})
	c.sent(e, id)
	return id, err
}

func (c *call) mail(o Op) error {
	header := "X-Inngest-Run-Id: " + c.run.id + "\r\n"
	if o.Unsigned {
		header = ""
	}
	text := fmt.Sprintf("From: app@plant.test\r\nTo: %s\r\nSubject: %s\r\nMessage-ID: <%s@plant.test>\r\n%s\r\nHello.\r\n",
		strings.Join(o.To, ", "), o.Subject, c.messageID(), header)
	if err := smtp.SendMail(c.env.SMTPAddr, nil, "app@plant.test", o.To, []byte(text)); err != nil {
		return errors.Join(errors.New("the mail server does not take the email"), err)
	}
	c.mailed(c.run, o)
	return nil
}

// An account is what an app did, as its own handlers wrote it down.
type account struct {
	mu     sync.Mutex
	clock  int // counts what is written down
	runs   map[string]*ranRun
	order  []*ranRun
	events []*sentEvent
	mails  []sentMail
	open   int // calls in progress
	last   time.Time
}

// A ranRun is a run whose function was called.
type ranRun struct {
	id       string
	function int
	event    string // the name of the event that started it
	eventKey string // the id of that event, as the function sees it
	by       string // what sent that event: a run, or the test; of a system event the run that it is about
	above    string // what sent the event of that run, which may have been cancelled before its first call
	eventID  string // the id in the data of that event
	began    int    // on the account's clock
	returned bool   // its last call reached the end of the function
	failed   bool   // with an error
	fails    int
	steps    []*ranStep
}

// A ranStep is a step that a run came to.
type ranStep struct {
	id         string
	occurrence int
	tries      int
	failed     bool // its last try, or what it waited for
	over       bool // the function got its result
	lost       bool // its last try was in a call that failed after it, so the server may not know its result
	invokes    int  // the function that it invokes; 0: none
}

type sentEvent struct {
	name, by, dataID, id string
	began                int
	ended                int // when the server had accepted it; 0 if it did not answer
}

type sentMail struct {
	run     *ranRun
	to      []string
	subject string
}

func (a *account) note() func() {
	a.mu.Lock()
	a.clock++
	a.last = time.Now()
	return a.mu.Unlock
}

func (a *account) opened(n int) {
	defer a.note()()
	a.open += n
}

func text(v any) string {
	s, _ := v.(string) // "" for what is absent
	return s
}

func (a *account) called(id string, function int, in input) *ranRun {
	defer a.note()()
	r, ok := a.runs[id]
	if !ok {
		data := in.Event.Data
		key := ""
		if in.Event.ID != nil {
			key = *in.Event.ID
		}
		r = &ranRun{
			id: id, function: function, event: in.Event.Name, eventKey: key, began: a.clock,
			by: cmp.Or(text(data["by"]), text(data["run_id"])), eventID: text(data["id"]),
		}
		if about, ok := data["event"].(map[string]any); ok { // a system event says what started the run that it is about
			of, _ := about["data"].(map[string]any)
			r.above = text(of["by"])
		}
		a.runs[id], a.order = r, append(a.order, r)
	}
	r.returned = false
	return r
}

func (a *account) returned(c *call, err error) {
	defer a.note()()
	c.run.returned, c.run.failed = true, err != nil
	for _, s := range c.executed {
		s.lost = err != nil
	}
}

func (a *account) step(r *ranRun, id string, occurrence int) *ranStep {
	defer a.note()()
	for _, s := range r.steps {
		if s.id == id && s.occurrence == occurrence {
			return s
		}
	}
	s := &ranStep{id: id, occurrence: occurrence}
	r.steps = append(r.steps, s)
	return s
}

func (a *account) tried(c *call, s *ranStep) int {
	defer a.note()()
	c.executed = append(c.executed, s)
	s.tries++
	return s.tries
}

func (a *account) tell(s *ranStep, err error) {
	defer a.note()()
	s.failed = err != nil
}

func (a *account) over(s *ranStep, err error) {
	defer a.note()()
	s.over, s.failed, s.lost = true, err != nil, false
}

func (a *account) invoking(s *ranStep, function int) {
	defer a.note()()
	s.invokes = function
}

func (a *account) failing(r *ranRun) int {
	defer a.note()()
	r.fails++
	return r.fails
}

func (a *account) sentAlready() int {
	defer a.note()()
	return len(a.events)
}

func (a *account) sending(name, by, dataID string) *sentEvent {
	defer a.note()()
	e := &sentEvent{name: name, by: by, dataID: dataID, began: a.clock}
	a.events = append(a.events, e)
	return e
}

func (a *account) sent(e *sentEvent, id string) {
	defer a.note()()
	e.id, e.ended = id, a.clock
}

func (a *account) messageID() string {
	defer a.note()()
	return fmt.Sprintf("%d.%d", time.Now().UnixNano(), a.clock)
}

func (a *account) mailed(r *ranRun, o Op) {
	defer a.note()()
	a.mails = append(a.mails, sentMail{r, o.To, o.Subject})
}
