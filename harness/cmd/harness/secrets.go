package main

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/thishost"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// secretTeller tells the commands in other terminals which values to mask: they do not have the app's environment. Its URL,
// which cannot be guessed, stands in a file that only this user can read; the secrets themselves stand in none.
type secretTeller struct {
	url    string
	server *http.Server
	served chan struct{}
}

func tellSecrets(st *stack.Stack) (*secretTeller, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for commands in other terminals: %w", err)
	}
	path := "/" + rand.Text()
	t := &secretTeller{url: "http://" + l.Addr().String() + path, served: make(chan struct{})}
	t.server = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: thishost.Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.URL.Path), []byte(path)) == 0 {
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(st.Redactor().Secrets()) // fails only if the command has ended
	}))}
	go func() {
		defer close(t.served)
		_ = t.server.Serve(l) // until close
	}()
	return t, nil
}

func (t *secretTeller) close() error {
	err := t.server.Close()
	<-t.served
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
