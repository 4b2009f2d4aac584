package sim

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestQuickOpsReadsWhatSDKsWrite(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`[{"op":"StepRun","id":"9dcc","name":"fetch","userland":{"id":"fetch","index":2},"data":{"a":["}",{"b":1}]},"timing":{"a":1,"b":2},"opts":null,"error":null,"displayName":null}]`,
		` [ {"op" : "Sleep" , "id":"aa","name":"1h","opts":{"duration":"1h"}} , {"op":"StepPlanned","id":"bb","displayName":"b","data":null} ] `,
		`[]`,
	} {
		_, ok := quickOps([]byte(body))
		require.True(t, ok, body)
	}
}

// FuzzQuickOps: what is read quickly is read as encoding/json reads it.
func FuzzQuickOps(f *testing.F) {
	for _, seed := range []string{
		`[{"op":"StepRun","id":"aa","data":{"x":[1,"]"]},"userland":{"id":"a","index":1}}]`, `[{"OP":"StepRun"}]`, `[{"op":"a\u0062"}]`, `[{"op":"ü"}]`,
		`[{"op":1}]`, `[null]`, `[{"op":null,"data":null,"opts":null,"userland":null,"displayName":null}]`, `[{"data":1,"data":-2e3}]`, `[{"id":"a","error":{"name":"x"}}]`,
		`[{"userland":{"id":"x","index":1.0}}]`, `[{"userland":{"Id":"x"}}]`, `[[]]`, `[1,2]`, `{}`, `[{"op":"a"},]`, `[{"userland":[]}]`, "[{\"\\u006fp\":\"x\"}]", `[{"ſ":1}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		quick, ok := quickOps(body)
		if !ok {
			return
		}
		var slow []opcode
		require.NoError(t, json.Unmarshal(body, &slow))
		require.Len(t, quick, len(slow))
		for i := range slow {
			require.Empty(t, cmp.Diff(slow[i], quick[i], cmp.AllowUnexported(Error{})))
		}
	})
}

// FuzzQuickEvent: an event that takes the short way is the one that it would be by the long way.
func FuzzQuickEvent(f *testing.F) {
	for _, seed := range []string{
		`{"a":1}`, `null`, `{}`, `{"a":1e400}`, `{"a":12345678901234567890}`, `{"_inngest":1}`, `{"a":"<b>&\u2028é"}`, `{"a":1.50,"b":[true,{"c":-0.1}]}`,
		`[]`, `"x"`, `{"a":"\ud800"}`, `{"a":1,"a":2}`, `{"a":100000000000000000.5}`, `{"a":-0}`,
	} {
		f.Add("go", "", []byte(seed), int64(0))
	}
	f.Add("inngest/x", "id", []byte(`{}`), int64(1))
	f.Add("", "\x00\"", []byte(`{}`), int64(1_700_000_000_000))
	f.Fuzz(func(t *testing.T, name, id string, data []byte, ts int64) {
		if !json.Valid(data) {
			return
		}
		e := Event{Name: name, ID: id, Data: json.RawMessage(data)}
		if ts != 0 {
			e.Time = time.UnixMilli(ts)
		}
		start := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
		quick, slow := New(Options{Start: start}), New(Options{Start: start})
		defer quick.Close()
		defer slow.Close()
		encoded, err := json.Marshal(e.Data)
		require.NoError(t, err)
		made, ok := quick.quickEvent(e, encoded)
		if !ok {
			return
		}
		fields := map[string]any{"name": name, "data": json.RawMessage(data)}
		if id != "" {
			fields["id"] = id
		}
		if ts != 0 {
			fields["ts"] = ts
		}
		body, err := json.Marshal(fields)
		require.NoError(t, err)
		ids, err := slow.ingest(body, "")
		require.NoError(t, err)
		require.Equal(t, ids[0], made.internal.String())
		want := slow.events.byID[made.internal]
		require.JSONEq(t, string(want.json()), string(made.json()))
		require.Equal(t, want.public(), made.public())
		require.Equal(t, want.materialise().fields, made.materialise().fields)
		require.JSONEq(t, string(want.object()), string(made.object()))
	})
}
