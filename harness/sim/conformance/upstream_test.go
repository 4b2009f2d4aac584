package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os/exec"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

// upstreamCases are the cases of the server's own conformance suite that it can run over HTTP. The suite is meant for SDKs:
// it stands between a server and an app and checks what each says to the other, so it judges the server as well.
var upstreamCases = []string{"serve-introspection", "basic-invoke", "steps-serial", "retry-basic", "cancel-basic", "wait-for-event-basic"}

// TestUpstream asks an oracle that is not ours. (Of the real server of the same version it says that each call bears a
// generation_id too many; sim leaves out that field, which SDKs send back only while checkpointing.)
func TestUpstream(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Options{RetryInterval: time.Second})
	s.RunInBackground(sim.WallClock)
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(func() { srv.Close(); require.NoError(t, s.Close(context.Background())) })
	bin, err := toolchain.Find(t.Context(), harness.ServiceInngest, toolchain.Options{})
	require.NoError(t, err)
	const key = "7468697320697320612074657374206b6579"
	app := httptest.NewServer(upstreamFixture(t, key).Serve())
	t.Cleanup(app.Close)
	args := []string{"alpha", "conformance", "run", "--transport", "serve", "--sdk-url", app.URL + "/api/inngest",
		"--dev-url", srv.URL, "--signing-key", key, "--report-format", "json", "--timeout", "60s"}
	for _, c := range upstreamCases {
		args = append(args, "--case", c)
	}
	cmd := exec.CommandContext(t.Context(), bin.Path, args...)
	cmd.Env = []string{"DO_NOT_TRACK=1", "HOME=" + t.TempDir()}
	cmd.Dir = t.TempDir()
	out, err := cmd.Output()
	require.NoError(t, err, "%s", out)
	var report struct {
		Cases []struct {
			Case   string `json:"case_id"`
			Status string `json:"status"`
			Reason string `json:"reason"`
		} `json:"cases"`
	}
	require.NoError(t, json.Unmarshal(out, &report), "%s", out)
	require.Len(t, report.Cases, len(upstreamCases), "%s", out)
	for _, r := range report.Cases {
		require.Equal(t, "passed", r.Status, "%s: %s", r.Case, r.Reason)
	}
}

// upstreamFixture is the app that the suite expects.
func upstreamFixture(t *testing.T, key string) inngestgo.Client {
	client, err := inngestgo.NewClient(inngestgo.ClientOpts{
		AppID: "test-suite", Dev: inngestgo.BoolPtr(true), SigningKey: &key, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	on := func(id, event string, o opts, f body) {
		o.ID = id
		_, err := inngestgo.CreateFunction(client, o, inngestgo.EventTrigger(event, nil), f)
		require.NoError(t, err)
	}
	done := func(in input) (any, error) { return data{"name": in.Event.Name, "body": "ok"}, nil }

	on("simple-fn", "tests/function.test", opts{}, func(c ctx, in input) (any, error) { return done(in) })
	on("step-test", "tests/step.test", opts{}, func(c ctx, in input) (any, error) {
		first, err := step.Run(c, "first step", func(ctx) (string, error) { return "first step", nil })
		if err != nil {
			return nil, err
		}
		step.Sleep(c, "sleep", 2*time.Second)
		_, err = step.Run(c, "second step", func(ctx) (data, error) { return data{"first": first, "second": true}, nil })
		if err != nil {
			return nil, err
		}
		return done(in)
	})
	on("retry-test", "tests/retry.test", opts{}, func(c ctx, in input) (any, error) {
		_, err := step.Run(c, "first step", func(ctx) (any, error) {
			if in.InputCtx.Attempt == 0 {
				return nil, errors.New("broken")
			}
			return "yes: 2", nil
		})
		if err != nil {
			return nil, err
		}
		if in.InputCtx.Attempt == 0 {
			return nil, errors.New("broken func")
		}
		return done(in)
	})
	on("cancel-test", "tests/cancel.test", opts{Cancel: []inngestgo.ConfigCancel{{
		Event: "cancel/please", If: inngestgo.StrPtr("async.data.request_id == event.data.request_id"),
	}}}, func(c ctx, in input) (any, error) { step.Sleep(c, "sleep", 10*time.Second); return done(in) })
	on("wait-for-event", "tests/wait.test", opts{}, func(c ctx, in input) (any, error) {
		e, err := step.WaitForEvent[inngestgo.Event](c, "wait", step.WaitForEventOpts{
			Event: "test/resume", Timeout: 10 * time.Second, If: inngestgo.StrPtr("async.data.resume == true && async.data.id == event.data.id"),
		})
		if err != nil {
			return nil, err
		}
		return data{"result": e.Data}, nil
	})
	return client
}
