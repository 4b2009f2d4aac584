package containers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/containers/internal/engine"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/logbook"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
)

func TestOnlyADeadOwnerIsDead(t *testing.T) {
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

func TestLabelsNameTheOwner(t *testing.T) {
	t.Parallel()
	labels := (&servers{id: "abc"}).labels(harness.ServiceMongo)
	o, ok := ownerOf(labels)
	require.True(t, ok)
	require.Equal(t, os.Getpid(), o.pid)
	require.False(t, o.dead(thisProcess(), true))

	delete(labels, labelStarted)
	_, ok = ownerOf(labels)
	require.False(t, ok, "whose it is cannot be told: it stays")
}

func TestAWatchTellsWhenALineIsPrinted(t *testing.T) {
	t.Parallel()
	w := &watch{}
	w.line("subscribing to events")
	seen := w.await("subscribing to events")
	w.line("something else")
	select {
	case <-seen:
		require.Fail(t, "what was printed before, or is another line, is not it")
	default:
	}
	w.line(`{"msg":"subscribing to events"}`)
	<-seen
	w.line("subscribing to events")
}

// A server that does not print its last line is asked whether it works.
func TestAStartThatSaysNothingIsAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &life{name: "inngest", log: logbook.New(logbook.Options{}), last: make(chan struct{}), done: make(chan struct{})}
		began, asked := time.Now(), 0
		require.NoError(t, l.settle(t.Context(), func(context.Context) error {
			if asked++; asked < 3 {
				return errors.New("it loses events")
			}
			return nil
		}))
		require.Equal(t, 3, asked)
		require.GreaterOrEqual(t, time.Since(began), lastTime)

		printed := make(chan struct{})
		close(printed)
		l.last = printed
		require.NoError(t, l.settle(t.Context(), func(context.Context) error { return errors.New("it is not asked") }))

		l.last, l.err = nil, errors.New("it is gone")
		close(l.done)
		require.Equal(t, l.err, l.settle(t.Context(), nil))
	})
}

func TestReasonsAreShort(t *testing.T) {
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

func TestALeftoverThatCannotBeRemovedIsToldAndInNobodysWay(t *testing.T) {
	t.Parallel()
	dead := (&servers{id: "killed"}).labels(harness.ServiceMongo)
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
	var told []string
	require.NoError(t, sweep(t.Context(), docker, func(p harness.Progress) { told = append(told, p.Subject+": "+p.Doing) }))
	require.Equal(t, []string{"docker: goes on, though a killed stack left something behind: remove the container stuck: Error response from daemon: device or resource busy"}, told)
	require.Equal(t, []string{"GET json", "DELETE stuck", "GET networks"}, asked)
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

func TestAPortIsTakenWhenTheEngineSaysSo(t *testing.T) {
	t.Parallel()
	said := errors.New("driver failed programming external connectivity: Bind for 127.0.0.1:8025 failed: port is already allocated")
	printed := &proc.ExitError{Name: "mongo", Code: 48, Tail: []string{"Failed to set up listener: Address already in use, address already in use"}}
	for name, c := range map[string]struct {
		err   error
		taken bool
	}{
		"the engine, asked to start":    {fmt.Errorf("start the container of mailhog: %w", &refusal{said}), true},
		"the engine, of something else": {&refusal{errors.New("no such image")}, false},
		"the container, in its log":     {fmt.Errorf("mongo did not come up: %w", printed), false},
		"nobody":                        {errors.New("context canceled"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.taken, portTaken(c.err))
		})
	}
	require.ErrorContains(t, printed, "address already in use")
	require.ErrorIs(t, &refusal{said}, said)
}
