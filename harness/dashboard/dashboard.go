package dashboard

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"sync"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// Options configures a [Dashboard]. The zero value is ready to use.
type Options struct {
	// Samples are what a user can send with one click, in the order of the menu.
	Samples []Sample
	// RunHeader is the stack's ([stack.Options]). Empty: "X-Inngest-Run-Id".
	RunHeader string
	// Keep is how many events are shown; older ones are dropped. Zero: 10,000.
	Keep int
}

// Dashboard is an [http.Handler]. It is safe for concurrent use. Close frees it; the stack is the caller's.
type Dashboard struct {
	stack    *stack.Stack
	options  Options
	board    *board
	follower *follower
	routes   http.Handler
	pages    *template.Template

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup
}

//go:embed static
var static embed.FS

const defaultKeep = 10_000

// New returns a dashboard of a stack and starts to follow the stack. A sample that cannot be sent is an error.
func New(st *stack.Stack, o Options) (*Dashboard, error) {
	if st == nil {
		return nil, errors.New("dashboard: there is no stack to show")
	}
	if o.Keep <= 0 {
		o.Keep = defaultKeep
	}
	o.RunHeader = cmp.Or(o.RunHeader, harness.DefaultRunHeader)
	for i, s := range o.Samples {
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("dashboard: sample %d: %w", i+1, err)
		}
	}
	pages, err := parsePages()
	if err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	d := &Dashboard{stack: st, options: o, board: newBoard(o.Keep), pages: pages}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.routes = guard(d.mux())
	d.follower = d.follow()
	return d, nil
}

// Close ends every stream to a browser and all that follows the stack. It returns an error if ctx ends first. It may be
// called more than once. Call it before the server's own Shutdown, which waits for streams to end.
func (d *Dashboard) Close(ctx context.Context) error {
	d.cancel()
	ended := make(chan struct{})
	go func() { d.running.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close the dashboard: %w", context.Cause(ctx))
	}
}

// ServeHTTP serves the pages.
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.routes.ServeHTTP(w, r) }

func (d *Dashboard) mux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", d.getBoard)
	mux.HandleFunc("GET /live", d.getLive)
	mux.HandleFunc("GET /event/{id}", d.getEvent)
	mux.HandleFunc("GET /event/{id}/trace.json", d.getTrace)
	mux.HandleFunc("GET /mail/{id}", d.getMail)
	mux.HandleFunc("GET /mail/{id}/document", d.getDocument)
	mux.HandleFunc("GET /log/{service}", d.getLog)
	mux.HandleFunc("GET /static/{name}", getStatic)
	mux.HandleFunc("POST /send", d.postSend)
	mux.HandleFunc("POST /event/{id}/again", d.postAgain)
	mux.HandleFunc("POST /inbox/clear", d.postClear)
	mux.HandleFunc("POST /sync", d.postSync)
	return mux
}
