package sdk_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

func TestStepHash(t *testing.T) {
	t.Parallel()
	require.Empty(t, sdk.StepHash(""))
	require.Equal(t, "a94a8fe5ccb19ba61c4c0873d391e987982fbbd3", sdk.StepHash("test"))
	require.NotEqual(t, sdk.StepHash("test"), sdk.StepHash("test:1"))
}

func TestSplitFunctionID(t *testing.T) {
	t.Parallel()
	require.Equal(t, "send-mail", sdk.SplitFunctionID(sdk.FunctionID("my-app", "send-mail"), "my-app"))
	require.Equal(t, "other-f", sdk.SplitFunctionID("other-f", "my-app"))
}

func TestTriggerMatches(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"order/paid", "order/paid", true},
		{"order/paid", "order/paid.late", false},
		{"order/*", "order/paid", true},
		{"order/*", "order/item/paid", true},
		{"order/*", "order", false},
		{"order/item.*", "order/item.paid", true},
		{"order/it*", "order/item", false},
		{"*", "order/paid", false},
		{"*", "*", true},
		{"", "", false},
	} {
		require.Equal(t, test.want, sdk.TriggerMatches(test.pattern, test.name), "%s on %s", test.pattern, test.name)
	}
}

func TestSign_IsAcceptedBySDK(t *testing.T) {
	t.Parallel()
	const key = "signkey-test-5349d1a5349d1a5349d1a5349d1a5349d1a5349d1a5349d1a5349d1a5349d1a5"
	body := []byte(`{"b": 1, "a": 2}`)
	valid, _, err := inngestgo.ValidateRequestSignature(t.Context(), sdk.Sign(key, body, time.Now()), key, "", body, false)
	require.NoError(t, err)
	require.True(t, valid)
}

func TestCall_CountsAttemptsFromOne(t *testing.T) {
	t.Parallel()
	call := sdk.Call{Event: json.RawMessage(`{"name":"a","id":"1"}`), Context: sdk.CallContext{RunID: "01RUN", Attempt: 3, QueueItem: "q"}}
	body, err := json.Marshal(call)
	require.NoError(t, err)
	require.Contains(t, string(body), `"attempt":2`)
	ctx, events := sdk.ReadCall(body)
	require.Equal(t, call.Context, ctx)
	require.Equal(t, []sdk.EventName{{Name: "a", ID: "1"}}, events)
}

func TestReadCall_ReadsWhatItCan(t *testing.T) {
	t.Parallel()
	for body, run := range map[string]string{
		"": "", "null": "", "[]": "", `{"ctx": 3}`: "", `{"ctx": {"run_id": 3}}`: "", `{"events": [`: "",
		`{"ctx":{"attempt":"x","run_id":"01RUN"},"steps":`: "01RUN",
	} {
		ctx, _ := sdk.ReadCall([]byte(body))
		require.Equal(t, run, ctx.RunID, body)
		require.EqualValues(t, 1, ctx.Attempt, body)
	}
}

func TestTargetStep(t *testing.T) {
	t.Parallel()
	require.Empty(t, sdk.TargetStep(url.Values{sdk.QueryStep: {sdk.AnyStep}}))
	require.Equal(t, "abc", sdk.TargetStep(url.Values{sdk.QueryStep: {"abc"}}))
}

func TestParseOps(t *testing.T) {
	t.Parallel()
	ops, err := sdk.ParseOps([]byte(` [{"op":"StepRun","id":"h","name":"n","displayName":"d","userland":{"id":"u","index":2},"data":1}] `))
	require.NoError(t, err)
	require.Equal(t, []any{"u:2", "u", sdk.OpStepRun}, []any{ops[0].StepID(), ops[0].CodeID(), ops[0].Op})
	one, err := sdk.ParseOps([]byte(`{"op":"Sleep","id":"h"}`))
	require.NoError(t, err)
	require.Equal(t, "h", one[0].StepID())
	for _, broken := range []string{"", "x", "[", `[null]`, `[{"op":1}]`} {
		_, err := sdk.ParseOps([]byte(broken))
		require.Error(t, err, broken)
	}
	partial, err := sdk.ParseOps([]byte(`[{"op":"StepRun","id":"h","error":{"message":1}}]`))
	require.Error(t, err)
	require.Equal(t, "h", partial[0].ID, "a field of another type does not hide the others")
}

func TestReadAnswer_UnwrapsStream(t *testing.T) {
	t.Parallel()
	header := http.Header{sdk.HeaderSDK: {"go:1"}}
	a, err := sdk.ReadAnswer(201, header, []byte(`  {"status":500,"body":"{\"message\":\"m\"}","noRetry":true,"headers":{"x-inngest-no-retry":"true"}}`))
	require.NoError(t, err)
	require.Equal(t, []any{500, `{"message":"m"}`, true, true, true, "go:1"},
		[]any{a.Status, string(a.Body), a.Streamed, a.BodyNoRetry, a.NoRetry(), a.Header.Get(sdk.HeaderSDK)})
	require.Empty(t, header.Get(sdk.HeaderNoRetry), "the header that was given is not changed")

	for _, broken := range []string{`{"status":`, `{"error":"away"}`} {
		a, err := sdk.ReadAnswer(201, nil, []byte(broken))
		require.Error(t, err)
		require.Equal(t, []any{201, broken}, []any{a.Status, string(a.Body)})
	}
}

func TestAnswer_Result(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][2]string{
		"": {"null", ""}, " {\"a\":1}\n": {`{"a":1}`, ""}, "hello ": {`"hello "`, "hello"},
	} {
		result, plain := sdk.Answer{Status: 200, Body: []byte(body)}.Result()
		require.Equal(t, want, [2]string{string(result), plain})
	}
}

func TestCheckpointPath(t *testing.T) {
	t.Parallel()
	for path, run := range map[string]string{
		"/v1/checkpoint/01RUN/async": "01RUN", "/v1/checkpoint/01RUN/steps": "01RUN", "/v1/http/runs/01RUN/async": "01RUN", "/v1/checkpoint": "",
	} {
		got, ok := sdk.CheckpointPath(path)
		require.True(t, ok, path)
		require.Equal(t, run, got)
	}
	for _, path := range []string{"/v1/checkpoint/01RUN/output", "/v1/checkpoint/a/b/async", "/v2/checkpoint", "/x/v1/checkpoint"} {
		_, ok := sdk.CheckpointPath(path)
		require.False(t, ok, path)
	}
}
