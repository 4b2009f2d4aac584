package testenv_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
)

func TestMain(m *testing.M) {
	testenv.RunProgram()
	os.Exit(m.Run())
}

func TestProgram_IsTheCommandOfTheApp(t *testing.T) {
	t.Parallel()
	program, err := testenv.Program(t.TempDir())
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), program, "help").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "app seed")
	out, err = exec.CommandContext(t.Context(), program, "nosuch").CombinedOutput()
	require.Error(t, err, "it exits as the app does: %s", out)
}

func TestCreate_ReportsWhatTheAppAnswers(t *testing.T) {
	t.Parallel()
	typical := fixtures.Requests()[0]
	for name, c := range map[string]struct {
		status       int
		answer, want string
	}{
		"created":                  {http.StatusCreated, `{"id":"65f"}`, ""},
		"refused":                  {http.StatusUnprocessableEntity, "who is Kim?", "create " + typical.Name + ": the app answers 422 Unprocessable Entity: who is Kim? (is the sample world loaded? `make dev` does it)"},
		"answered with no request": {http.StatusCreated, "done", "create " + typical.Name + ": read the app's answer: invalid character 'd' looking for beginning of value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			posted := make(chan string, 1)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				posted <- r.Method + " " + r.URL.Path + " " + r.Header.Get("Content-Type") + " " + string(body)
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.answer)
			}))
			defer server.Close()
			r, err := testenv.Create(t.Context(), server.URL, typical)
			require.Equal(t, "POST /api/requests application/json "+string(typical.Body), <-posted)
			if c.want != "" {
				require.EqualError(t, err, c.want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "65f", r.ID)
		})
	}
}
