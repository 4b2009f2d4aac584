package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/dashboard"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// page is the dashboard of a stack, served on loopback.
type page struct {
	url    string
	board  interface{ Close(context.Context) error }
	server *http.Server
	served chan struct{}
}

// openPage serves the dashboard on a port; 0 means a free one.
func openPage(st *stack.Stack, port int, o upOptions) (*page, error) {
	options := dashboard.Options{RunHeader: o.runHeader}
	if o.samples != "" {
		samples, err := dashboard.ReadSamples(o.samples, o.samplesTo)
		if err != nil {
			return nil, err
		}
		options.Samples = samples
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("listen for the dashboard (--dashboard=false does without it): %w", err)
	}
	board, err := dashboard.New(st, options)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	p := &page{
		url: "http://" + l.Addr().String(), board: board, served: make(chan struct{}),
		server: &http.Server{Handler: board, ReadHeaderTimeout: 10 * time.Second},
	}
	go func() {
		defer close(p.served)
		_ = p.server.Serve(l) // until close
	}()
	return p, nil
}

// close ends the server. Pages that are open in a browser lose their connection.
func (p *page) close(ctx context.Context) error {
	err := errors.Join(p.board.Close(ctx), p.server.Close())
	<-p.served
	return err
}
