package tap_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// slowness is how long a fault that slows an exchange down does so at least.
const slowness = 30 * time.Millisecond

// outcomes says by what each action is told from the others.
var outcomes = map[tap.Action]struct {
	fault  tap.Fault // the parameters that it needs
	far    int       // how often the far side has the request
	answer string    // that the near side gets, in the words of a wire's exchange
	waits  string    // what ends the wait of the near side: nothing else does
	slow   bool      // the near side waits for slowness
}{
	tap.Drop:        {answer: "closed"},
	tap.Reply:       {fault: tap.Fault{Code: 451}, answer: "451"},
	tap.Lose:        {answer: "closed", waits: "giving up"},
	tap.Discard:     {answer: "200"},
	tap.Delay:       {fault: tap.Fault{For: slowness}, far: 1, answer: "far", slow: true},
	tap.Hold:        {far: 1, answer: "far", waits: "release"},
	tap.Throttle:    {fault: tap.Fault{Rate: 1000}, far: 1, answer: "far", slow: true},
	tap.Twice:       {far: 2, answer: "far"},
	tap.DropAnswer:  {far: 1, answer: "closed"},
	tap.DelayAnswer: {fault: tap.Fault{For: slowness}, far: 1, answer: "far", slow: true},
	tap.HoldAnswer:  {far: 1, answer: "far", waits: "release"},
}

func TestFaults_EveryActionAtEveryPoint(t *testing.T) {
	t.Parallel()
	for _, r := range tap.Rules() {
		for _, do := range r.Actions {
			t.Run(fmt.Sprintf("%s at %s", do, r.At), func(t *testing.T) {
				t.Parallel()
				want, ok := outcomes[do]
				require.True(t, ok, "outcomes lacks the action")
				s, exchange, far := openPoint(t, r.At)
				fault := want.fault
				fault.At, fault.Do = r.At, do
				if r.At == tap.AtStep {
					fault.Step = "send"
				}
				i := inject(t, s, fault)
				ctx, giveUp := context.WithTimeout(t.Context(), patience)
				defer giveUp()
				began, answer := time.Now(), make(chan string, 1)
				go func() { answer <- exchange(ctx) }()
				reached(t, i)
				if want.waits != "" {
					before := far.Load()
					require.Equal(t, "far", exchange(t.Context()), "another exchange passes meanwhile")
					require.Empty(t, answer, "the first one still waits")
					if do == tap.HoldAnswer {
						require.EqualValues(t, 1, before, "it waits for the answer alone")
					} else {
						require.Zero(t, before)
					}
					far.Add(-1) // the other exchange
					if want.waits == "release" {
						i.Release()
					} else {
						giveUp()
					}
				}
				require.Equal(t, want.answer, <-answer)
				require.EqualValues(t, want.far, far.Load(), "how often the far side has the request")
				if want.slow {
					require.GreaterOrEqual(t, time.Since(began), slowness)
				}
			})
		}
	}
}

// openPoint opens the wire of a point. exchange passes the point once and returns the near side's answer: "far" for that
// of the far side, "closed" for none, otherwise its code. far counts how often the far side has passed the point.
func openPoint(t *testing.T, at tap.Point) (_ *tap.Set, exchange func(context.Context) string, far *atomic.Int32) {
	t.Helper()
	s, far := newSet(t, tap.Options{}), &atomic.Int32{}
	request, isHTTP := pointRequests[at]
	if !isHTTP {
		w, err := s.SMTP("127.0.0.1:0", countingMailServer(t, at, far))
		require.NoError(t, err)
		return s, func(ctx context.Context) string { return passSMTP(ctx, w.Addr(), at) }, far
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		far.Add(1)
		w.Header().Set("X-Far", "yes")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = fmt.Fprintf(w, `[{"op":"StepRun","id":%q}]`, sdk.StepHash("send"))
	}))
	t.Cleanup(server.Close)
	open := s.Calls
	if request.api {
		open = s.API
	}
	w, err := open("127.0.0.1:0", server.URL)
	require.NoError(t, err)
	return s, func(ctx context.Context) string {
		req, err := http.NewRequestWithContext(ctx, request.method, w.URL()+request.path, strings.NewReader(request.body))
		if err != nil {
			return err.Error()
		}
		req.Close = true
		res, err := client.Do(req)
		if err != nil {
			return "closed"
		}
		defer func() { _ = res.Body.Close() }()
		if res.Header.Get("X-Far") != "" {
			return "far"
		}
		return fmt.Sprint(res.StatusCode)
	}, far
}

var (
	pointCall = pointRequest{false, http.MethodPost, "/api/inngest?fnId=app-f&stepId=" + sdk.StepHash("send"), `{"ctx":{"run_id":"01RUN"},"event":{"name":"e"}}`}
	// pointRequests are requests that pass the points of the HTTP wires.
	pointRequests = map[tap.Point]pointRequest{
		tap.AtCall:       pointCall,
		tap.AtStep:       pointCall,
		tap.AtCheckpoint: {true, http.MethodPost, "/v1/checkpoint/01RUN/async", `{"steps":[{"op":"StepRun","id":"x"}]}`},
		tap.AtEvent:      {true, http.MethodPost, "/e/key", `{"name":"e"}`},
		tap.AtSync:       {false, http.MethodPut, "/api/inngest", ""},
		tap.AtRegister:   {true, http.MethodPost, "/fn/register", "{}"},
	}
)

type pointRequest struct {
	api                bool
	method, path, body string
}

// pointLines are what an app sends at the points of the SMTP wire, in sequence, and how the server's reply begins.
var pointLines = []struct {
	at          tap.Point
	send, reply string
}{
	{tap.AtConnect, "", "220"},
	{tap.AtEHLO, "EHLO app.test\r\n", "250"},
	{tap.AtSTARTTLS, "STARTTLS\r\n", "454"},
	{tap.AtAUTH, "AUTH PLAIN AGFiYwBkZWY=\r\n", "235"},
	{tap.AtMAIL, "MAIL FROM:<app@plant.test>\r\n", "250"},
	{tap.AtRCPT, "RCPT TO:<kim@plant.test>\r\n", "250"},
	{tap.AtDATA, "DATA\r\n", "354"},
	{tap.AtBody, "Subject: hello\r\n\r\n" + "a line that takes some time at a thousand bytes a second\r\n", ""},
	{tap.AtDot, ".\r\n", "250"},
	{tap.AtQUIT, "QUIT\r\n", "221"},
}

// passSMTP sends what passes a point, and returns the answer as openPoint says.
func passSMTP(ctx context.Context, addr string, at tap.Point) string {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return "closed"
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	in, reached := textproto.NewReader(bufio.NewReader(conn)), false
	for _, line := range pointLines {
		reached = reached || line.at == at
		if _, err := io.WriteString(conn, line.send); err != nil {
			return "closed"
		}
		if line.reply == "" {
			continue
		}
		code, text, err := in.ReadResponse(0)
		switch {
		case err != nil:
			return "closed"
		case reached && strings.HasPrefix(text, "far"):
			return "far"
		case reached:
			return fmt.Sprint(code)
		}
	}
	return "the session is over"
}

// countingMailServer replies to every line of pointLines, and counts those of a point.
func countingMailServer(t *testing.T, at tap.Point, count *atomic.Int32) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer func() { _ = conn.Close() }()
				in := bufio.NewReader(conn)
				for _, line := range pointLines {
					got := make([]byte, len(line.send))
					if _, err := io.ReadFull(in, got); err != nil || string(got) != line.send {
						return
					}
					if line.at == at {
						count.Add(1)
					}
					if line.reply != "" {
						_, _ = io.WriteString(conn, line.reply+" far\r\n")
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		serving.Wait()
	})
	return ln.Addr().String()
}
