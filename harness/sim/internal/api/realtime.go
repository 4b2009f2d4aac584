package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"
	"github.com/oklog/ulid/v2"
)

// Limits of the server.
const (
	subscribeToken   = time.Minute // the token for a subscription lasts as long
	streamTimeout    = 15 * time.Minute
	keepalive        = 15 * time.Second
	maxMessage       = 512 << 10
	streamChunk      = 1 << 10 // a stream is sent on in pieces of this size
	maxStreamChunks  = 1_000
	subscriberBuffer = 1_000 // messages that a slow subscriber may be behind before it is cut off
)

// streamTopic is the topic to which what a durable endpoint streams is sent.
const streamTopic = "$stream"

// environment is the dev server's one environment.
const environment = "00000000-0000-4000-b000-000000000000"

// topic is what a subscription is for.
type topic struct {
	Kind    string `json:"kind"`
	Env     string `json:"env_id"`
	Channel string `json:"channel"`
	Name    string `json:"name"`
}

// address is where messages go.
type address struct{ channel, topic string }

// claims are what the bearer of a token may do.
type claims struct {
	jwt.RegisteredClaims
	RunID   string  `json:"run_id,omitempty"` // read its output
	Topics  []topic `json:"topics,omitempty"` // subscribe to them
	Publish bool    `json:"publish"`
}

// tokens makes and reads tokens. They last by the wall clock, which their bearers go by.
type tokens struct{ secret []byte }

func newTokens() tokens { return tokens{[]byte(rand.Text())} }

func (t tokens) sign(c claims, lasts time.Duration) string {
	now := time.Now()
	c.IssuedAt, c.ExpiresAt = jwt.NewNumericDate(now), jwt.NewNumericDate(now.Add(lasts))
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(t.secret)
	if err != nil {
		panic(fmt.Sprintf("api: signing a token: %v", err)) // HMAC of what encodes as JSON
	}
	return signed
}

func (t tokens) read(text string) (c claims, err error) {
	_, err = jwt.ParseWithClaims(text, &c, func(*jwt.Token) (any, error) { return t.secret, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Name}), jwt.WithExpirationRequired())
	return c, err
}

// message is what subscribers get.
type message struct {
	Kind      string          `json:"kind"`
	Data      json.RawMessage `json:"data"`
	Metadata  json.RawMessage `json:"metadata,omitempty"`
	CreatedAt time.Time       `json:"created_at"`
	Channel   string          `json:"channel,omitempty"`
	Env       string          `json:"env_id,omitempty"`
	Topic     string          `json:"topic"`
	RunID     string          `json:"run_id,omitempty"`
}

// delivery is what goes to a subscriber: a message as JSON, or bytes to be sent as they are.
type delivery struct {
	raw  []byte
	asIs bool
}

// subscriber is one connection that waits for messages.
type subscriber struct {
	topics  map[address]bool // guarded by the hub's lock
	queue   chan delivery
	dropped chan struct{} // closed when it is too far behind
}

// hub hands messages to subscribers. It is safe for concurrent use.
type hub struct {
	mu   sync.Mutex
	subs map[*subscriber]bool
}

func (h *hub) join(topics []topic) *subscriber {
	s := &subscriber{topics: map[address]bool{}, queue: make(chan delivery, subscriberBuffer), dropped: make(chan struct{})}
	h.mu.Lock()
	h.subs[s] = true
	h.mu.Unlock()
	h.subscribe(s, topics, true)
	return s
}

func (h *hub) leave(s *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs, s)
}

// subscribe adds topics to a subscription, or takes them out.
func (h *hub) subscribe(s *subscriber, topics []topic, on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range topics {
		s.topics[address{t.Channel, t.Name}] = on
	}
}

// send hands a delivery to the subscribers of a topic.
func (h *hub) send(d delivery, to address) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs {
		if !s.topics[to] {
			continue
		}
		select {
		case s.queue <- d:
		default:
			delete(h.subs, s)
			close(s.dropped)
		}
	}
}

// publish hands a message, or a chunk of the stream that one began, to the subscribers of the message's topic.
func (h *hub) publish(m message, v any) {
	raw, _ := json.Marshal(v) // made of strings and valid JSON
	h.send(delivery{raw: raw}, address{m.Channel, m.Topic})
}

// realtime adds what publishers and subscribers ask for.
func (s *server) realtime(mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/realtime/token", s.realtimeToken)
	mux.HandleFunc("POST /v1/realtime/publish", s.publisher(s.publish))
	mux.HandleFunc("POST /v1/realtime/publish/tee", s.publisher(s.tee))
	mux.HandleFunc("GET /v1/realtime/connect", s.subscription(s.connectSocket))
	mux.HandleFunc("GET /v1/realtime/sse", s.subscription(s.connectSSE))
}

func (s *server) realtimeToken(w http.ResponseWriter, r *http.Request) {
	topics := []topic{}
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&topics); err != nil {
		refuseText(w, http.StatusBadRequest, "Invalid request: must provide a list of topics")
		return
	}
	reply(w, http.StatusCreated, map[string]string{"jwt": s.tokens.sign(claims{Topics: topics}, subscribeToken)})
}

// claimed returns what the request's token allows. ok is false if it has none: a signing key, or nothing.
func (s *server) claimed(r *http.Request) (c claims, ok bool) {
	text := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if text == "" {
		text = r.URL.Query().Get("token")
	}
	c, err := s.tokens.read(text)
	return c, err == nil && c.RunID == ""
}

// publisher refuses those who may subscribe only.
func (s *server) publisher(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if c, ok := s.claimed(r); ok && !c.Publish {
			refuseText(w, http.StatusUnauthorized, "Not authenticated for publishing")
			return
		}
		serve(w, r)
	}
}

func (s *server) newMessage(r *http.Request, kind string, data []byte) message {
	q := r.URL.Query()
	m := message{
		Kind: kind, Channel: q.Get("channel"), Topic: q.Get("topic"), Env: environment,
		CreatedAt: s.engine.Shown(s.engine.Now()), Data: data,
	}
	if id, err := ulid.Parse(q.Get("run_id")); err == nil {
		m.RunID = id.String()
	}
	if meta := q.Get("metadata"); json.Valid([]byte(meta)) {
		m.Metadata = json.RawMessage(meta)
	}
	return m
}

// publish sends the request's body to subscribers: as one message, or piece by piece as it comes.
func (s *server) publish(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Content-Type") == "text/stream" {
		s.publishStream(r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxMessage))
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	if !json.Valid(body) {
		body, _ = json.Marshal(string(body))
	}
	m := s.newMessage(r, "data", body)
	s.hub.publish(m, m)
}

// chunk is a piece of a stream.
type chunk struct {
	Kind   string `json:"kind"`
	Stream string `json:"stream_id"`
	Data   string `json:"data"`
	RunID  string `json:"run_id,omitempty"`
}

func (s *server) publishStream(r *http.Request) {
	id := strings.ToLower(rand.Text())
	quoted, _ := json.Marshal(id)
	m := s.newMessage(r, "datastream-start", quoted)
	s.hub.publish(m, m)
	buf := make([]byte, streamChunk)
	for range maxStreamChunks {
		n, err := r.Body.Read(buf)
		if n > 0 {
			s.hub.publish(m, chunk{Kind: "chunk", Stream: id, Data: string(buf[:n]), RunID: m.RunID})
		}
		if err != nil {
			break // the end, or the publisher went away
		}
	}
	m.Kind = "datastream-end"
	s.hub.publish(m, m)
}

// tee sends the body on to those who subscribed to a channel's stream, as it comes and as it is.
func (s *server) tee(w http.ResponseWriter, r *http.Request) {
	channel := r.URL.Query().Get("channel")
	if channel == "" {
		http.Error(w, "channel query parameter required", http.StatusBadRequest)
		return
	}
	buf := make([]byte, 32<<10)
	body := http.MaxBytesReader(w, r.Body, maxStreamChunks*streamChunk)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			s.hub.send(delivery{slices.Clone(buf[:n]), true}, address{channel, streamTopic})
		}
		switch {
		case err == io.EOF:
			return
		case err != nil:
			http.Error(w, "Error forwarding data", http.StatusInternalServerError)
			return
		}
	}
}

// subscription lets the bearers of tokens with topics subscribe. They are cut off when the server closes.
func (s *server) subscription(serve func(http.ResponseWriter, *http.Request, *subscriber)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, ok := s.claimed(r)
		if !ok {
			refuseText(w, http.StatusUnauthorized, "Not authenticated")
			return
		}
		sub := s.hub.join(c.Topics)
		defer s.hub.leave(sub)
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		go func() {
			defer cancel()
			select {
			case <-s.options.Closed:
			case <-sub.dropped:
			case <-ctx.Done():
			}
		}()
		serve(w, r.WithContext(ctx), sub)
	}
}

// forward writes what comes for a subscriber, and signs of life, until ctx or the connection ends.
func forward(ctx context.Context, sub *subscriber, write func(delivery) error, alive func() error) {
	tick := time.NewTicker(keepalive)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case d := <-sub.queue:
			err = write(d)
		case <-tick.C:
			err = alive()
		}
		if err != nil {
			return
		}
	}
}

func (s *server) connectSSE(w http.ResponseWriter, r *http.Request, sub *subscriber) {
	ctx, cancel := context.WithTimeout(r.Context(), streamTimeout)
	defer cancel()
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Content-Type")
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	out := http.NewResponseController(w)
	write := func(raw []byte) error {
		if _, err := w.Write(raw); err != nil {
			return err
		}
		return out.Flush()
	}
	_ = write(nil) // the headers, at once; an error shows again
	forward(ctx, sub, func(d delivery) error {
		if d.asIs {
			return write(d.raw)
		}
		return write(fmt.Appendf(nil, "data: %s\n\n", d.raw))
	}, func() error { return write([]byte(":\n\n")) })
}

func (s *server) connectSocket(w http.ResponseWriter, r *http.Request, sub *subscriber) {
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // any page, as on the server
	if err != nil {
		return // it has answered
	}
	defer func() { _ = ws.CloseNow() }()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		defer cancel()
		s.readSocket(ctx, ws, sub)
	}()
	write := func(d delivery) error { return ws.Write(ctx, websocket.MessageText, d.raw) }
	forward(ctx, sub, write, func() error { return ws.Ping(ctx) })
}

// readSocket takes a subscriber's wishes to subscribe to more topics, by another token, or to fewer.
func (s *server) readSocket(ctx context.Context, ws *websocket.Conn, sub *subscriber) {
	for {
		_, raw, err := ws.Read(ctx)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(raw, &m) != nil {
			continue
		}
		var text string
		var topics []topic
		switch {
		case m.Kind == "sub" && json.Unmarshal(m.Data, &text) == nil:
			if c, err := s.tokens.read(text); err == nil {
				s.hub.subscribe(sub, c.Topics, true)
			}
		case m.Kind == "unsub" && json.Unmarshal(m.Data, &topics) == nil:
			s.hub.subscribe(sub, topics, false)
		}
	}
}
