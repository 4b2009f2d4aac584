package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// rawApp is an app that says what a scenario has it say, well-formed or not.
type rawApp struct {
	p *play
	// answer is called with the number of the call, from 0.
	answer func(call int, w http.ResponseWriter, r *http.Request)
	// retries of its one function; 0 is none.
	retries int
	// twice has it register its function twice, under one id.
	twice bool
	// more functions, beside the one for "go".
	more []map[string]any
	// config of the function for "go".
	config map[string]any

	mu    sync.Mutex
	calls int
}

func (a *rawApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(sdk.HeaderSDK, "test:v0.0.1")
	w.Header().Set(sdk.HeaderRequestVersion, "2")
	if r.Method == http.MethodPut {
		a.register(w, r)
		return
	}
	a.mu.Lock()
	n := a.calls
	a.calls++
	a.mu.Unlock()
	a.answer(n, w, r)
}

// function is the configuration of one function, without its steps.
func (a *rawApp) function(id string, trigger map[string]any) map[string]any {
	return map[string]any{"id": a.p.app + "-" + id, "name": id, "triggers": []any{trigger}}
}

func (a *rawApp) register(w http.ResponseWriter, r *http.Request) {
	url := "http://" + r.Host + "/api/inngest"
	functions := append([]map[string]any{a.function("f", map[string]any{"event": a.p.ev("go")})}, a.more...)
	maps.Copy(functions[0], a.config)
	if a.twice {
		functions = append(functions, functions[0])
	}
	for _, f := range functions {
		f["steps"] = map[string]any{"step": map[string]any{
			"id": "step", "name": "f", "retries": map[string]any{"attempts": a.retries},
			"runtime": map[string]any{"type": "http", "url": fmt.Sprintf("%s?fnId=%s&step=step", url, f["id"])},
		}}
	}
	body, err := json.Marshal(map[string]any{
		"url": url, "v": "1", "deployType": "ping", "sdk": "test:v0.0.1", "appName": a.p.app, "functions": functions,
	})
	require.NoError(a.p.t, err)
	resp, err := http.Post(a.p.w.url()+"/fn/register", "application/json", bytes.NewReader(body))
	require.NoError(a.p.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(a.p.t, err)
	if resp.StatusCode != http.StatusOK {
		http.Error(w, strings.TrimSpace(string(text)), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// says returns an app that answers its calls one after the other; the last answer stands.
func says(answers ...said) func(*play) *rawApp {
	return func(p *play) *rawApp {
		return &rawApp{p: p, retries: 1, answer: func(n int, w http.ResponseWriter, _ *http.Request) {
			a := answers[min(n, len(answers)-1)]
			for k, v := range a.header {
				w.Header()[k] = v
			}
			w.WriteHeader(a.status)
			_, _ = w.Write([]byte(a.body)) // the server may have hung up
		}}
	}
}

type said struct {
	status int
	body   string
	header http.Header
}
