package containers

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"strconv"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/containers/internal/engine"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
)

func TestOwner_DeadOnlyWhenKnownToBe(t *testing.T) {
	t.Parallel()
	me := thisProcess()
	change := func(f func(*owner)) owner { o := me; f(&o); return o }
	for name, c := range map[string]struct {
		owner   owner
		running bool
		dead    bool
	}{
		"this process":                          {me, true, false},
		"a later process with its number":       {change(func(o *owner) { o.started = o.started.Add(-time.Hour) }), true, true},
		"no such process":                       {change(func(o *owner) { o.pid = 1 << 30 }), true, true},
		"another machine's":                     {change(func(o *owner) { o.machine, o.pid = "elsewhere", 1<<30 }), false, false},
		"from an earlier boot":                  {change(func(o *owner) { o.boot = "earlier" }), false, true},
		"of a machine with this name, up there": {change(func(o *owner) { o.boot = "earlier" }), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.dead, c.owner.dead(me, c.running))
		})
	}
}

func TestLabels_NameTheOwner(t *testing.T) {
	t.Parallel()
	labels := (&stack{id: "abc"}).labels(harness.ServiceMongo)
	o, ok := ownerOf(labels)
	require.True(t, ok)
	require.Equal(t, os.Getpid(), o.pid)
	require.False(t, o.dead(thisProcess(), true))

	delete(labels, labelStarted)
	_, ok = ownerOf(labels)
	require.False(t, ok, "its owner is unknown: it stays")
}

func TestInShort(t *testing.T) {
	t.Parallel()
	raw := errors.New(`Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io on 127.0.0.53:53: server misbehaving`)
	for want, err := range map[string]error{
		"the image mongo:8.0 is not here, and its registry cannot be reached; for containers: make images": fmt.Errorf("get images: %w",
			&engine.Error{What: "the image mongo:8.0 is not here, and its registry cannot be reached", Detail: raw.Error(), Do: []string{"make images", engine.Alternative}, Err: raw}),
		"the Docker engine fails; for containers: see what --backend containers says": raw,
	} {
		require.Equal(t, want, inShort(err))
	}
}

func TestSweep_ReportsWhatItCannotRemoveAndGoesOn(t *testing.T) {
	t.Parallel()
	dead := (&stack{id: "killed"}).labels(harness.ServiceMongo)
	dead[labelPID] = strconv.Itoa(1 << 30)
	var asked []string
	docker := engineThat(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+path.Base(r.URL.Path))
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, `{"message": "device or resource busy"}`)
		case path.Dir(r.URL.Path) == "/v1.44/containers":
			_ = json.NewEncoder(w).Encode([]container.Summary{{ID: "stuck", State: "dead", Labels: dead}})
		default:
			_, _ = io.WriteString(w, "[]")
		}
	})
	var reported []string
	require.NoError(t, sweep(t.Context(), docker, func(p harness.Progress) { reported = append(reported, p.Subject+": "+p.Doing) }))
	require.Equal(t, []string{"docker: goes on, though a killed stack left something behind: remove the container stuck: Error response from daemon: device or resource busy"}, reported)
	require.Equal(t, []string{"GET json", "DELETE stuck"}, asked)
}

// engineThat returns a client of an engine that answers one request at a time like this.
func engineThat(t *testing.T, answer http.HandlerFunc) *client.Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	docker, err := client.New(client.WithHost("tcp://"+server.Listener.Addr().String()), client.WithAPIVersion("1.44"))
	require.NoError(t, err)
	t.Cleanup(func() { docker.Close() })
	return docker
}

func TestUnit_PortTakenOnlyWhenTheEngineSaysSo(t *testing.T) {
	t.Parallel()
	said := errors.New("driver failed programming external connectivity: Bind for 127.0.0.1:8025 failed: port is already allocated")
	printed := &proc.ExitError{Name: "mongo", Code: 48, Tail: []string{"Failed to set up listener: Address already in use, address already in use"}}
	require.ErrorContains(t, printed, "address already in use")
	u := &unit{service: harness.ServiceMongo}
	require.True(t, portTaken(said.Error()))
	require.False(t, portTaken("no such image"))
	refused := u.explainPorts(said)
	require.EqualError(t, refused, said.Error())
	require.ErrorIs(t, refused, said)
	require.True(t, u.PortTaken(refused))
	require.False(t, u.PortTaken(fmt.Errorf("mongo did not come up: %w", printed)), "a container has ports of its own")
	u.o.Ports.Mongo = 27017
	require.False(t, u.PortTaken(refused), "the user named it")
}

func TestUnit_ExplainPortsNamesTheHolder(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	err = (&unit{service: harness.ServiceMongo, ports: []int{taken}}).explainPorts(errors.New("port is already allocated"))
	require.ErrorContains(t, err, fmt.Sprintf("port %d, wanted for mongo, is in use by", taken))
	require.ErrorIs(t, err, errPortTaken)
}

func TestInstance_PauseAsksAgainWhereTheFreezerGaveUp(t *testing.T) {
	t.Parallel()
	const gaveUp = "Cannot pause container abc: OCI runtime pause failed: unable to freeze: unknown"
	for name, c := range map[string]struct {
		answers []string // of the engine to one call after the other; "" where it pauses the container
		err     string
	}{
		"at once":              {[]string{""}, ""},
		"at the third attempt": {[]string{gaveUp, gaveUp, ""}, ""},
		"then another error":   {[]string{gaveUp, "Container abc is not running"}, "pause the container of mongo: Error response from daemon: Container abc is not running"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			docker := engineThat(t, func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, "/v1.44/containers/abc/pause", r.URL.Path)
				answer := c.answers[asked]
				asked++
				if answer == "" {
					w.WriteHeader(http.StatusNoContent)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusInternalServerError)
				json.NewEncoder(w).Encode(map[string]string{"message": answer})
			})
			err := (&instance{unit: &unit{service: harness.ServiceMongo, stack: &stack{engine: docker}},
				container: &testcontainers.DockerContainer{ID: "abc"}}).Pause(t.Context())
			require.Equal(t, len(c.answers), asked)
			if c.err == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, c.err)
			}
		})
	}
}

func TestReaperError(t *testing.T) {
	t.Parallel()
	other := errors.New("no space left on device")
	require.Equal(t, other, reaperError(other))
	require.EqualError(t, reaperError(errors.New("create container: reaper: pull: no such host")),
		"testcontainers cannot start its reaper (create container: reaper: pull: no such host): "+
			"set TESTCONTAINERS_RYUK_DISABLED=true, since the harness removes its containers without it, or use the local backend (--backend local), which needs no Docker")
}
