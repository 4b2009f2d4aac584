package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
)

// fake is an engine that answers a pull with the given handler, and has the image afterwards.
func fake(t *testing.T, pull http.HandlerFunc) *client.Client {
	t.Helper()
	pulled := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/images/create"):
			pull(w, r)
			close(pulled)
		case strings.HasSuffix(r.URL.Path, "/json"):
			select {
			case <-pulled:
				fmt.Fprint(w, `{"Id":"sha256:1","Config":{"Labels":{"org.opencontainers.image.version":"v1.2.3"}}}`)
			default:
				w.WriteHeader(http.StatusNotFound)
				fmt.Fprint(w, `{"message":"No such image"}`)
			}
		}
	}))
	t.Cleanup(server.Close)
	c, err := connect(t.Context(), client.WithHost("tcp://"+server.Listener.Addr().String()))
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func TestEnsureImage_ReportsProgress(t *testing.T) {
	t.Parallel()
	c := fake(t, answer(http.StatusOK, `{"status":"Pulling from library/mongo","id":"8.0"}
{"status":"Downloading","id":"a","progressDetail":{"current":1048576,"total":3145728}}
{"status":"Downloading","id":"b","progressDetail":{"current":1048576,"total":1048576}}
{"status":"Pull complete","id":"a"}
`))
	var reported []string
	image, err := EnsureImage(t.Context(), c, "mongo:8.0", func(doing string) { reported = append(reported, doing) })
	require.NoError(t, err)
	require.Equal(t, Image{Name: "mongo:8.0", Version: "v1.2.3"}, image)
	require.Equal(t, []string{
		"pulling mongo:8.0",
		"pulling mongo:8.0",
		"pulling mongo:8.0, 1 of 3 MB",
		"pulling mongo:8.0, 2 of 4 MB",
		"pulling mongo:8.0, 4 of 4 MB",
	}, reported)
}

func TestEnsureImage_ExplainsFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pull http.HandlerFunc
		want []string
	}{
		"registry not reachable": {
			answer(500, `{"message":"Get \"https://registry.example/v2/\": dial tcp: lookup registry.example: no such host"}`),
			[]string{"the image mongo:8.0 is not here, and its registry cannot be reached (", "no such host", "make images", "HARNESS_IMAGE_MONGO", "--backend local"},
		},
		"registry silent": {
			func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			[]string{"its registry cannot be reached (it does not answer)", "check the network"},
		},
		"registry stalls": {
			func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintln(w, `{"status":"Pulling from library/mongo"}`)
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			},
			[]string{"its registry cannot be reached (it stopped sending)"},
		},
		"no such image": {
			answer(404, `{"message":"manifest for mongo:8.0 not found: manifest unknown"}`),
			[]string{"there is no image mongo:8.0 for this machine, or not without a login", "check its name", "docker login"},
		},
		"too many pulls": {
			answer(500, `{"message":"toomanyrequests: You have reached your pull rate limit"}`),
			[]string{"takes no more pulls from here for now", "docker login"},
		},
		"disk full": {
			answer(200, `{"status":"Pulling from library/mongo"}`+"\n"+`{"errorDetail":{"message":"write /var/lib/docker/tmp/x: no space left on device"}}`),
			[]string{"pull the image mongo:8.0", "the Docker engine's disk is full", "docker system prune"},
		},
		"engine dies": {
			func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, `{"status":"Pulling`)
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			},
			[]string{"read what the Docker engine reports", "unexpected EOF"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			_, err := ensureImage(t.Context(), fake(t, c.pull), "mongo:8.0", nil, time.Second, time.Second)
			require.Less(t, time.Since(began), 5*time.Second)
			var e *Error
			require.ErrorAs(t, err, &e)
			for _, want := range c.want {
				require.Contains(t, err.Error(), want)
			}
		})
	}
}

func TestEnsureImage_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c := fake(t, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	_, err := EnsureImage(ctx, c, "mongo:8.0", nil)
	require.ErrorIs(t, err, context.Canceled)
}

func TestConnect_NoEngine(t *testing.T) {
	t.Parallel()
	_, err := connect(t.Context(), client.WithHost("unix://"+filepath.Join(t.TempDir(), "none.sock")))
	require.ErrorContains(t, err, "no Docker engine answers at unix://")
	require.ErrorContains(t, err, "start Docker")
	require.ErrorContains(t, err, "--backend local")
}

func TestConnect_EngineDoesNotAnswer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts connections and does not answer
	require.NoError(t, err)
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = connect(ctx, client.WithHost("tcp://"+l.Addr().String()))
	require.ErrorContains(t, err, "does not answer within")
}

func TestUnreachable_DistinguishesPermissionFromAbsence(t *testing.T) {
	t.Parallel()
	err := unreachable("unix:///var/run/docker.sock", fmt.Errorf("dial: %w", os.ErrPermission))
	require.ErrorContains(t, err, "this user may not use the Docker engine at unix:///var/run/docker.sock")
	require.ErrorContains(t, err, "usermod -aG docker")
	require.ErrorIs(t, err, os.ErrPermission)
}

func TestExplain(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, Explain(errors.New("error during connect: Post …: EOF")), "the Docker engine has gone away")
	require.ErrorContains(t, Explain(errors.New("mkdir: no space left on device")), "disk is full")
	other := errors.New("conflict")
	require.Equal(t, other, Explain(other))
}

func TestTagOf(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"mongo:8.0": "8.0", "mongo": "latest", "localhost:5000/mongo": "latest", "localhost:5000/mongo:8.0": "8.0",
		"mongo:8.0@sha256:00": "8.0",
	} {
		require.Equal(t, want, tagOf(name), name)
	}
}

func TestReadMessages(t *testing.T) {
	t.Parallel()
	n := 0
	require.NoError(t, ReadMessages(t.Context(), strings.NewReader(`{"stream":"a"}{"stream":"b"}`), func(jsonstream.Message) { n++ }))
	require.Equal(t, 2, n)
}
