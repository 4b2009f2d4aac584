//go:build unix && languages

package planted

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
	"github.com/odoo-maintenance/inngest-harness/harness/judge"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// javascript is where the apps in JavaScript are: each has the name of one in Go.
var javascript = filepath.Join("..", "..", "testdata", "js")

// installed installs what the apps in JavaScript need, unless it is there.
var installed = sync.OnceValue(func() error {
	want, err := os.Stat(filepath.Join(javascript, "package-lock.json"))
	if err != nil {
		return err
	}
	if have, err := os.Stat(filepath.Join(javascript, "node_modules", ".package-lock.json")); err == nil && have.ModTime().After(want.ModTime()) {
		return nil
	}
	install := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = javascript
	if out, err := install.CombinedOutput(); err != nil {
		return fmt.Errorf("install what the apps need: %w: %s", err, out)
	}
	return nil
})

// script is an app that runs as a program, with a directory for its store.
func script(t *testing.T, file, scratch string) stack.HandlerFunc {
	return func(ctx context.Context, env harness.Env) (http.Handler, error) {
		free, err := port.Free(1)
		if err != nil {
			return nil, err
		}
		at := fmt.Sprintf("127.0.0.1:%d", free[0])
		behind := env
		behind.Addr = at // the program listens behind the handler
		p, err := proc.Start(ctx, proc.Spec{
			Name: file, Path: "node", Args: []string{file}, Dir: javascript,
			Env: append(os.Environ(), append(behind.Environ(), EnvScratch+"="+scratch)...),
		})
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { require.NoError(t, p.Stop(context.WithoutCancel(t.Context()), 0)) })
		err = p.WaitReady(ctx, func(ctx context.Context) error {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+harness.DefaultAppPath, nil)
			if err != nil {
				return err
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				return err
			}
			return response.Body.Close()
		})
		return httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: at}), err
	}
}

func TestJavaScript_HoldsWithoutFault(t *testing.T) {
	t.Parallel()
	require.NoError(t, installed())
	for _, app := range Apps() {
		for _, file := range []string{app.Name + ".mjs", app.Name + ".right.mjs"} {
			t.Run(file, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				scratch := t.TempDir()
				w, err := simstack.NewWorkbench(ctx, script(t, file, scratch), simstack.WorkbenchOptions{})
				require.NoError(t, err)
				defer func() { require.NoError(t, w.Close(context.WithoutCancel(ctx))) }()

				read := func(ext string) []byte {
					data, err := os.ReadFile(filepath.Join(javascript, app.Name+ext))
					require.NoError(t, err)
					return data
				}
				send := func(ext string) string {
					var e harness.Event
					require.NoError(t, json.Unmarshal(read(ext), &e))
					id, err := w.Sim().Send(ctx, e)
					require.NoError(t, err)
					return id
				}
				first := send(".send.json")
				if len(app.Send) > 1 {
					require.NoError(t, w.Sim().Settle(ctx))
					send(".send2.json")
				}
				expect, err := harness.ParseExpectation(read(".expect.json"))
				require.NoError(t, err)
				v, err := w.Judge(ctx, first, expect, judge.Options{})
				require.NoError(t, err)
				require.NoError(t, v.Err())
				require.True(t, v.Trace.Quiet, v.Trace.Unquiet)

				if app.Invariant != nil {
					ask := exec.CommandContext(ctx, "node", app.Name+".invariant.mjs")
					ask.Dir, ask.Env = javascript, append(os.Environ(), EnvScratch+"="+scratch)
					out, err := ask.CombinedOutput()
					require.NoError(t, err, "%s", out)
				}
			})
		}
	}
}

func TestJavaScript_InvariantsTellBrokenStores(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]string{
		"random-outside-step": `{"issued:7": "a", "sent:7": "b"}`,
		"check-then-act":      `{"seat:12": ["kim@planted.test", "lee@planted.test"]}`,
		"half-cancelled":      `{"stock:7": "reserved"}`,
	} {
		scratch := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(scratch, "store.json"), []byte(store), 0o600))
		ask := exec.CommandContext(t.Context(), "node", name+".invariant.mjs")
		ask.Dir, ask.Env = javascript, append(os.Environ(), EnvScratch+"="+scratch)
		out, err := ask.CombinedOutput()
		require.Equal(t, 1, ask.ProcessState.ExitCode(), "%s: %v: %s", name, err, out)
		require.Regexp(t, "valid|taken|reserved", strings.TrimSpace(string(out)))
	}
}
