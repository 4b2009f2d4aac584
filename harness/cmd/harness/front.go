package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/dashboard"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/statefile"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
	"github.com/odoo-maintenance/inngest-harness/harness/stackapi"
)

// front is what a stack serves on loopback to people and programs of this machine: the dashboard and the JSON API.
type front struct {
	url     string
	token   string               // of the API
	board   *dashboard.Dashboard // nil without a dashboard
	answers *stackapi.Server     // the API
	server  *http.Server
	served  chan struct{}
}

// openFront serves the front of a stack on a port; 0 means a free one. state says where the stack is, once it is up.
func openFront(st *stack.Stack, port int, o upOptions, state func() statefile.State) (*front, error) {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("listen for the dashboard and the API: %w", err)
	}
	f := &front{url: "http://" + l.Addr().String(), token: rand.Text(), served: make(chan struct{})}
	f.answers = stackapi.New(st, stackapi.Options{Token: f.token, State: state, Sim: isSim(o.inngest), Watched: len(o.watch) > 0, StaysUp: o.parent == 0})
	if o.dashboard {
		if f.board, err = newBoard(st, o); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	f.server = &http.Server{Handler: http.HandlerFunc(f.serve), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(f.served)
		_ = f.server.Serve(l) // until close
	}()
	return f, nil
}

func newBoard(st *stack.Stack, o upOptions) (*dashboard.Dashboard, error) {
	options := dashboard.Options{RunHeader: o.runHeader}
	if o.samples != "" {
		samples, err := dashboard.ReadSamples(o.samples, o.samplesTo)
		if err != nil {
			return nil, err
		}
		options.Samples = samples
	}
	return dashboard.New(st, options)
}

// api is the API's entry in the state file.
func (f *front) api() statefile.API {
	return statefile.API{URL: f.url + stackapi.Prefix, Token: f.token}
}

func (f *front) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == stackapi.Prefix || strings.HasPrefix(r.URL.Path, stackapi.Prefix+"/"):
		f.answers.ServeHTTP(w, r)
	case f.board != nil:
		f.board.ServeHTTP(w, r)
	default:
		http.NotFound(w, r)
	}
}

// lastAnswers bounds the answers to requests in progress. Shutdown would wait longer for connections that a browser opens in advance.
const lastAnswers = 500 * time.Millisecond

// close ends the server. Requests in progress are told that the stack ends. Pages that are open in a browser lose their connection.
func (f *front) close(ctx context.Context) error {
	f.answers.End()
	var err error
	if f.board != nil {
		err = f.board.Close(ctx)
	}
	answering, cancel := context.WithTimeout(ctx, lastAnswers)
	defer cancel()
	_ = f.server.Shutdown(answering) // what it leaves, Close ends
	err = errors.Join(err, f.server.Close())
	<-f.served
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return err
}

// logWriter prints what packages of the standard library log, such as net/http an app's answer that nothing has asked for.
type logWriter struct {
	p *printer
	r *stack.Redactor
}

func (w logWriter) Write(line []byte) (int, error) {
	w.p.say("log", "%s", strings.TrimSpace(w.r.Text(string(line))))
	return len(line), nil
}
