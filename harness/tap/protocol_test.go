package tap

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseCall(t *testing.T) {
	t.Parallel()
	call, item := parseCall(url.Values{"fnId": {"app-f"}, "stepId": {"abc"}}, []byte(`{
		"events": [{"name": "a", "id": "1"}, {"name": "b", "id": "2"}], "event": {"name": "a", "id": "1"},
		"steps": {"x": {"data": 1}}, "ctx": {"run_id": "01RUN", "attempt": 2, "qi_id": "q", "stack": {"stack": ["x", "y"]}}}`))
	require.Equal(t, "q", item)
	require.Equal(t, &Call{
		FunctionID: "app-f", RunID: "01RUN", Attempt: 3, Step: "abc", Memoised: 2, After: "y",
		Events: []Event{{Name: "a", IdempotencyKey: "1"}, {Name: "b", IdempotencyKey: "2"}},
	}, call)
	for _, broken := range []string{"", "null", "[]", `{"ctx": 3}`, `{"ctx": {"run_id": 3}}`, `{"events": [`} {
		call, _ := parseCall(url.Values{"fnId": {"app-f"}}, []byte(broken))
		require.Equal(t, "app-f", call.FunctionID, broken)
	}
}

func TestParseAnswer(t *testing.T) {
	t.Parallel()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(`{"zipped":true}`))
	_ = z.Close()
	type answer struct {
		status int
		header http.Header
		body   string
	}
	tests := map[string]struct {
		in   answer
		want Call
	}{
		"result":           {answer{200, nil, "{\"a\":1}\n"}, Call{Status: 200, Result: json.RawMessage(`{"a":1}`), ResultSize: 7}},
		"large result":     {answer{200, nil, `"0123456789012345678901234567890"`}, Call{Status: 200, ResultSize: 33}},
		"no JSON":          {answer{200, nil, "<html>"}, Call{Status: 200, ResultSize: 6}},
		"compressed":       {answer{200, http.Header{"Content-Encoding": {"gzip"}}, zipped.String()}, Call{Status: 200, Result: json.RawMessage(`{"zipped":true}`), ResultSize: 15}},
		"badly compressed": {answer{200, http.Header{"Content-Encoding": {"gzip"}}, "xx"}, Call{Status: 200, ResultSize: 2}},
		"opcodes": {answer{206, nil, `[{"op":"StepRun","id":"h","displayName":"d","data":1},{"op":"Sleep","id":"s","name":"1h"}]`},
			Call{Status: 206, Ops: []Op{{Op: "StepRun", ID: "h", Name: "d", Data: json.RawMessage("1"), Size: 1}, {Op: "Sleep", ID: "s", Name: "1h"}}}},
		"one opcode":                {answer{206, nil, `{"op":"RunComplete","id":"h"}`}, Call{Status: 206, Ops: []Op{{Op: "RunComplete", ID: "h"}}}},
		"no opcodes":                {answer{206, nil, `nonsense`}, Call{Status: 206}},
		"error":                     {answer{500, http.Header{"Retry-After": {"3"}}, `{"name":"E","message":"m","stack":"s"}`}, Call{Status: 500, RetryAfter: "3", Error: &Failure{"E", "m"}}},
		"permanent error":           {answer{400, http.Header{"X-Inngest-No-Retry": {"true"}}, `{"message":"m"}`}, Call{Status: 400, NoRetry: true, Error: &Failure{"", "m"}}},
		"error in words":            {answer{502, nil, " gateway \n"}, Call{Status: 502, Error: &Failure{"", "gateway"}}},
		"streamed result":           {answer{201, nil, `  {"status":200,"body":{"a":1}}`}, Call{Status: 200, Result: json.RawMessage(`{"a":1}`), ResultSize: 7}},
		"streamed error":            {answer{201, nil, `{"status":500,"body":"{\"message\":\"m\"}","noRetry":true}`}, Call{Status: 500, NoRetry: true, Error: &Failure{"", "m"}}},
		"streamed JSON in a string": {answer{201, nil, `{"status":200,"body":"{\"a\":1}"}`}, Call{Status: 200, Result: json.RawMessage(`{"a":1}`), ResultSize: 7}},
		"streamed text":             {answer{201, nil, `{"status":200,"body":"hello"}`}, Call{Status: 200, Result: json.RawMessage(`"hello"`), ResultSize: 5}},
		"broken stream":             {answer{201, nil, `{"status":`}, Call{Status: 201, Error: &Failure{"", `{"status":`}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got Call
			parseAnswer(&got, test.in.status, test.in.header, []byte(test.in.body), 30)
			require.Equal(t, test.want, got)
		})
	}
}

func TestParseEvents(t *testing.T) {
	t.Parallel()
	require.Equal(t, []Event{{Name: "a", IdempotencyKey: "1", Data: json.RawMessage("{}"), Size: 2}}, parseEvents([]byte(`{"name":"a","id":"1","data":{}}`), 10))
	require.Len(t, parseEvents([]byte(`[{"name":"a"},{"name":"b"}]`), 10), 2)
	require.Empty(t, parseEvents([]byte(`name=a`), 10))
}

func FuzzProtocol(f *testing.F) {
	f.Add(206, []byte(`[{"op":"StepRun","id":"h","data":1,"timing":{"a":1,"b":2}}]`))
	f.Add(201, []byte(`{"status":500,"body":"x"}`))
	f.Add(200, []byte(`{"ctx":{"run_id":"01","stack":{"stack":["a"]}},"event":{"name":"a"}}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		var c Call
		parseAnswer(&c, status, http.Header{}, body, 100)
		_, err := json.Marshal(c)
		require.NoError(t, err, "a record can always be written down")
		call, _ := parseCall(url.Values{}, body)
		checkpoint, _ := parseCheckpoint("", body, 100)
		_, err = json.Marshal([]any{call, checkpoint, parseEvents(body, 100), parseRegister(body), parseSyncAnswer(http.Header{}, body)})
		require.NoError(t, err)
	})
}
