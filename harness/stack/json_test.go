package stack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// An app may answer anything with status 200. The server takes it for the function's result.
func TestJudge_ShowsAnAnswerThatIsNoJSONAsText(t *testing.T) {
	t.Parallel()
	tooDeep := strings.Repeat("[", 9990) + strings.Repeat("]", 9990)
	for name, o := range map[string]stack.Options{"with taps": {}, "without taps": {WithoutTaps: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := startPlain(t, o)
			require.NoError(t, st.RunHandler(t.Context(), func(ctx context.Context, env harness.Env) (http.Handler, error) {
				shop, err := newShop(ctx, env)
				return answering(shop), err
			}))
			for _, answer := range []string{"{not json", "a\x00b", "1 2", "\x1b[2J", tooDeep} {
				quoted, err := json.Marshal(answer)
				require.NoError(t, err)
				ids, err := st.Send(t.Context(), harness.Event{Name: "shop/surveyed", Data: map[string]any{"answer": answer}})
				require.NoError(t, err)
				v, err := st.Judge(t.Context(), ids[0], harness.Expectation{
					Runs: []harness.RunExpectation{{Function: "survey", Status: harness.StatusCompleted, Output: quoted}},
				}, stack.JudgeOptions{})
				require.NoError(t, err)
				require.NoError(t, v.Err())
				_, err = json.MarshalIndent(v, "", "  ")
				require.NoError(t, err)
			}
		})
	}
}

// answering answers calls of the function survey with the text that its event asks for.
func answering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var call struct {
			Event struct{ Data struct{ Answer string } }
		}
		if _ = json.Unmarshal(body, &call); r.Method == http.MethodPost && call.Event.Data.Answer != "" {
			w.Header().Set("X-Inngest-Sdk", "test:v0") // without it the server takes the answer for another program's
			fmt.Fprint(w, call.Event.Data.Answer)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}
