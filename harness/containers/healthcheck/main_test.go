package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	t.Parallel()
	const app = "http://app:3000/api/inngest"
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/synced/dev", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"functions":[{"steps":[{"uri":"%s?fnId=a&step=step"}]}]}`, app)
	})
	mux.HandleFunc("/other/dev", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"functions":[{"steps":[{"uri":"http://other:3000/api/inngest?fnId=a"}]}]}`)
	})
	mux.HandleFunc("/page/dev", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := l.Addr().String()
	require.NoError(t, l.Close())

	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"answers":         {[]string{server.URL + "/ok"}, 0, ""},
		"accepts":         {[]string{server.Listener.Addr().String()}, 0, ""},
		"synced":          {[]string{"-inngest", server.URL + "/synced", "-app", app, server.URL + "/ok"}, 0, ""},
		"wrong status":    {[]string{server.URL + "/missing"}, 1, "/missing answers 404 Not Found"},
		"one of two":      {[]string{server.URL + "/ok", closed}, 1, "connection refused"},
		"not synced":      {[]string{"-inngest", server.URL + "/other", "-app", app, server.URL + "/ok"}, 1, "knows no functions at " + app + " yet"},
		"no dev server":   {[]string{"-inngest", server.URL + "/page", "-app", app, server.URL + "/ok"}, 1, "is not an Inngest dev server"},
		"nothing":         {nil, 2, "name at least one URL"},
		"half a question": {[]string{"-app", app, server.URL + "/ok"}, 2, "-inngest with -app or neither"},
		"unknown flag":    {[]string{"-x"}, 2, "not defined"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stderr bytes.Buffer
			require.Equal(t, c.code, run(t.Context(), c.args, &stderr))
			require.Contains(t, stderr.String(), c.says)
		})
	}
}
