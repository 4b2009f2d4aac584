package conformance

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestConformance_Realtime has the same subscribers and the same publishers on both servers.
func TestConformance_Realtime(t *testing.T) {
	t.Parallel()
	onSim := converse(t, newSimWorld(t).url())
	onServer := converse(t, realURL)
	require.Empty(t, cmp.Diff(onServer, onSim), "the real server (-) and sim (+) differ")
	require.GreaterOrEqual(t, len(onSim), 19)
}

// conversation is what one test says to a server's realtime API, and hears.
type conversation struct {
	t     testing.TB
	base  string
	heard []string
}

func converse(t testing.TB, base string) []string {
	c := &conversation{t: t, base: base + "/v1/realtime/"}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const run = "01JNGVNB7BJVRCZWTBF8G73BPJ"
	news := c.token(`[{"kind":"run","channel":"conversation","name":"news"},{"kind":"run","channel":"conversation","name":"$stream"}]`)
	c.refused("connect", "GET", "", "")
	c.refused("publish?channel=conversation&topic=news", "POST", news, "by a subscriber")
	c.refused("publish/tee?channel=conversation", "POST", news, "by a subscriber")
	c.refused("publish/tee", "POST", "", "to no channel")

	ws, _, err := websocket.Dial(ctx, strings.Replace(c.base, "http", "ws", 1)+"connect?token="+news, nil)
	require.NoError(t, err)
	defer func() { _ = ws.CloseNow() }()
	sse := c.listen(ctx, news)
	c.awaitSubscribed(ctx, ws, sse)
	both := func() {
		_, raw, err := ws.Read(ctx)
		require.NoError(t, err)
		c.hear("socket", string(raw))
		c.hear("events", sse())
	}
	c.publish("publish?channel=conversation&topic=news&run_id="+run, "", `{"n":1}`)
	both()
	c.publish("publish?channel=conversation&topic=news", "", `plain text`)
	both()
	c.publish("publish?channel=conversation&topic=other", "", `"not for them"`)
	c.publish("publish?channel=another&topic=news", "", `"not for them"`)
	c.publish("publish?channel=conversation&topic=news&metadata=%7B%22k%22%3A1%7D", "text/stream", "piece")
	both()
	both()
	both()
	c.publish("publish/tee?channel=conversation", "", "event: inngest.stream\ndata: {}\n\n")
	both()

	// Another topic by another token, on the same connection; then one less.
	other := c.token(`[{"kind":"run","channel":"conversation","name":"other"}]`)
	c.tell(ctx, ws, "sub", other)
	c.await(ctx, ws, "other", true)
	c.tell(ctx, ws, "unsub", []map[string]string{{"kind": "run", "channel": "conversation", "name": "other", "env_id": "00000000-0000-4000-b000-000000000000"}})
	c.await(ctx, ws, "other", false)
	return c.heard
}

// awaitSubscribed publishes until both subscribers have got something, and reads on until they have got the last of it: a
// server answers a subscriber before it has subscribed it.
func (c *conversation) awaitSubscribed(ctx context.Context, ws *websocket.Conn, sse func() string) {
	publishing, stop := context.WithCancel(ctx)
	var over sync.WaitGroup
	over.Go(func() {
		for publishing.Err() == nil {
			status, answer := c.post("publish?channel=conversation&topic=news", "", `"by now?"`)
			assert.Equal(c.t, http.StatusOK, status, answer)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-publishing.Done():
			}
		}
	})
	read := func() string {
		_, raw, err := ws.Read(ctx)
		require.NoError(c.t, err)
		return string(raw)
	}
	read()
	sse()
	stop()
	over.Wait()
	c.publish("publish?channel=conversation&topic=news", "", `"no more"`)
	for !strings.Contains(read(), "no more") {
	}
	for !strings.Contains(sse(), "no more") {
	}
}

func (c *conversation) hear(who, text string) {
	var m map[string]any
	event, _ := strings.CutPrefix(text, "data: ")
	if json.Unmarshal([]byte(event), &m) != nil {
		c.heard = append(c.heard, who+" "+text)
		return
	}
	for _, k := range []string{"created_at", "stream_id"} {
		if _, there := m[k]; there {
			m[k] = "…"
		}
	}
	if kind, _ := m["kind"].(string); strings.HasPrefix(kind, "datastream") {
		m["data"] = "…"
	}
	raw, err := json.Marshal(m)
	require.NoError(c.t, err)
	c.heard = append(c.heard, who+" "+string(raw))
}

func (c *conversation) post(path, kind, body string) (status int, answer string) {
	resp, err := http.Post(c.base+path, kind, strings.NewReader(body))
	require.NoError(c.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	return resp.StatusCode, string(raw)
}

func (c *conversation) publish(path, kind, body string) {
	status, answer := c.post(path, kind, body)
	require.Equal(c.t, http.StatusOK, status, answer)
}

// token returns one for topics.
func (c *conversation) token(topics string) string {
	status, answer := c.post("token", "application/json", topics)
	require.Equal(c.t, http.StatusCreated, status, answer)
	var a struct{ JWT string }
	require.NoError(c.t, json.Unmarshal([]byte(answer), &a))
	return a.JWT
}

// refused notes the status of a request that is refused.
func (c *conversation) refused(path, method, token, why string) {
	req, err := http.NewRequest(method, c.base+path, strings.NewReader("{}"))
	require.NoError(c.t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(c.t, err)
	defer resp.Body.Close()
	require.GreaterOrEqual(c.t, resp.StatusCode, 400)
	c.heard = append(c.heard, fmt.Sprint(path, " ", why, ": ", resp.StatusCode))
}

// listen subscribes to an event stream. What it returns gives the next event.
func (c *conversation) listen(ctx context.Context, token string) func() string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"sse?token="+token, nil)
	require.NoError(c.t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(c.t, err)
	c.t.Cleanup(func() { _ = resp.Body.Close() })
	c.heard = append(c.heard, fmt.Sprint(resp.StatusCode, resp.Header.Get("Content-Type"), resp.Header.Get("Access-Control-Allow-Origin")))
	lines := bufio.NewReader(resp.Body)
	return func() string {
		var event []string
		for {
			line, err := lines.ReadString('\n')
			require.NoError(c.t, err)
			switch line = strings.TrimSuffix(line, "\n"); {
			case line == ":": // a sign of life
			case line != "":
				event = append(event, line)
			case len(event) > 0:
				return strings.Join(event, "\n")
			}
		}
	}
}

// tell sends a subscriber's wish.
func (c *conversation) tell(ctx context.Context, ws *websocket.Conn, kind string, data any) {
	raw, err := json.Marshal(map[string]any{"kind": kind, "data": data})
	require.NoError(c.t, err)
	require.NoError(c.t, ws.Write(ctx, websocket.MessageText, raw))
}

// await publishes to a topic until the connection gets it, or no longer does. It gets the news in any case.
func (c *conversation) await(ctx context.Context, ws *websocket.Conn, topic string, wanted bool) {
	for {
		c.publish("publish?channel=conversation&topic="+topic, "", `"by now?"`)
		c.publish("publish?channel=conversation&topic=news", "", `"no more"`)
		came := ""
		for {
			_, raw, err := ws.Read(ctx)
			require.NoError(c.t, err)
			if strings.Contains(string(raw), "no more") {
				break
			}
			came = string(raw)
		}
		if (came != "") == wanted {
			c.hear("socket", came)
			return
		}
	}
}
