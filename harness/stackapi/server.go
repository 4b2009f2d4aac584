package stackapi

import (
	"cmp"
	"context"
	"crypto/subtle"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/statefile"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/thishost"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// Options configures a [Server].
type Options struct {
	// Token is what each request must bring. Empty: none, for a server in this process alone.
	Token string
	// State says where the stack is. Nil: nothing but what the stack itself knows.
	State func() statefile.State
	// Sim says that the stack's Inngest is sim.
	Sim bool
	// Watched says that the stack outlasts an app that ends by itself: the next change of its sources starts it again.
	Watched bool
	// StaysUp says that the stack outlasts its tests, so that their verdicts can name the pages of runs.
	StaysUp bool
}

// Server answers requests about a stack. It is an [http.Handler], safe for concurrent use. What it has injected ends
// with the stack; Close writes the reports of its tests. It has many methods because it has one for each operation.
type Server struct {
	stack   *stack.Stack
	options Options
	routes  *http.ServeMux
	ending  context.Context // ends with End
	end     context.CancelFunc
	began   time.Time
	faults  faults
	tests   tests
	goldens goldens
	written written
	changes changes
}

// New returns the API of a stack, which stays the caller's.
func New(st *stack.Stack, o Options) *Server {
	s := &Server{stack: st, options: o, routes: http.NewServeMux(), began: time.Now()}
	s.ending, s.end = context.WithCancel(context.Background())
	for _, op := range Operations() {
		s.routes.HandleFunc(op.Method+" "+Prefix+op.Path, s.guarded(op.Public, op.serve))
	}
	s.routes.HandleFunc("/", s.guarded(false, (*Server).serveUnknown))
	return s
}

// End has the requests that are in progress, and all that come, answered with an error if they wait for something. Call it before the
// Shutdown of the HTTP server.
func (s *Server) End() { s.end() }

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !clean(r) { // the routes would redirect it
		s.guarded(false, (*Server).serveUnknown)(w, r)
		return
	}
	s.routes.ServeHTTP(w, r)
}

// clean reports whether a path has no empty parts, and none that are dots.
func clean(r *http.Request) bool {
	p := r.URL.EscapedPath()
	return strings.TrimSuffix(p, "/") == path.Clean(p)
}

// serveUnknown answers a request that is no operation.
func (s *Server) serveUnknown(w http.ResponseWriter, r *http.Request) {
	var methods []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		asked := *r
		asked.Method = method
		if _, pattern := s.routes.Handler(&asked); clean(r) && strings.HasPrefix(pattern, method) {
			methods = append(methods, method)
		}
	}
	if len(methods) == 0 {
		s.fail(w, notFoundf("the API does not know %s: see `harness help api`", r.URL.Path))
		return
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	s.fail(w, errorf("not-allowed", "%s %s: its method is %s", r.Method, r.URL.Path, strings.Join(methods, " or ")))
}

// guarded lets requests pass that come from a program of this machine and bring the token, which public ones need not.
func (s *Server) guarded(public bool, next func(*Server, http.ResponseWriter, *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if s.options.Token != "" {
			if why := thishost.Refusal(r); why != "" {
				s.fail(w, errorf("refused", "the API is for programs of this machine: %s", why))
				return
			}
			if given := r.Header.Get("Authorization"); !public && subtle.ConstantTimeCompare([]byte(given), []byte("Bearer "+s.options.Token)) == 0 {
				s.fail(w, errorf("unauthorized", "the request needs the header Authorization: Bearer TOKEN, with the token of .harness/stack.json"))
				return
			}
		}
		next(s, w, r)
	}
}

func (s *Server) getStack(ctx context.Context, in stackQuery) (Stack, error) {
	answer := Stack{Outdated: s.changes.outdated(ctx, time.Duration(in.Wait))}
	if err := s.ending.Err(); err != nil {
		return answer, err
	}
	if err := s.stack.App().Err(); err != nil && s.options.Watched {
		answer.Outdated = cmp.Or(answer.Outdated, err.Error())
	}
	if s.options.State != nil {
		var err error
		if answer.State, err = s.options.State().OfThisProcess(); err != nil {
			return answer, err
		}
	}
	answer.API.Token = "" // the request has it
	if answer.Inngest.URL != "" {
		answer.Env = map[string]string{}
		for _, pair := range answer.State.Env().Environ() {
			name, value, _ := strings.Cut(pair, "=")
			answer.Env[name] = value
		}
	}
	answer.Can = Can{Skip: s.options.Sim, Replace: s.options.Sim, Faults: s.stack.Taps() != nil}
	answer.Can.Services = s.services()
	return answer, nil
}

// services are those that the stack can stop and start.
func (s *Server) services() (names []harness.Service) {
	for _, info := range s.stack.Describe() {
		if info.Source != "attached" {
			names = append(names, info.Service)
		}
	}
	if _, ok := s.stack.Env(); ok {
		names = append(names, harness.ServiceApp)
		for n := 1; n <= s.stack.Options().Replicas && s.stack.Options().Replicas > 1; n++ {
			names = append(names, harness.Replica(n))
		}
	}
	return names
}

func (s *Server) getSecrets(context.Context, none) ([]string, error) {
	return append([]string{}, s.stack.Redactor().Secrets()...), nil
}

// control does something to a service.
func (s *Server) control(ctx context.Context, in serviceAction) (Done, error) {
	actions := map[string]func(context.Context, harness.Service) error{
		"stop": s.stack.Stop, "start": s.stack.Start, "restart": s.stack.Restart,
		"kill": s.stack.Kill, "pause": s.stack.Pause, "resume": s.stack.Resume,
	}
	act, known := actions[in.Action]
	if !known {
		return Done{}, invalidf("there is no action %q: it is stop, start, restart, kill, pause or resume", in.Action)
	}
	var names []string
	for _, service := range s.services() {
		names = append(names, string(service))
	}
	if !slices.Contains(names, in.Service) {
		return Done{}, notFoundf("there is no service %q that can be stopped and started; this stack has %s", in.Service, cmp.Or(strings.Join(names, ", "), "none"))
	}
	service := harness.Service(in.Service)
	_, wasUp := s.stack.Env()
	err := act(ctx, service)
	if service == harness.ServiceApp && (in.Action == "restart" || in.Action == "start" && !wasUp) && ctx.Err() == nil {
		s.changes.restarted(err)
	}
	return Done{true}, err
}
