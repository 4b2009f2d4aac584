package inbox

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	// firstRetry and lastRetry bound the pause before a broken connection is tried again. MailHog restarts in 50 ms.
	firstRetry = 5 * time.Millisecond
	lastRetry  = 500 * time.Millisecond
	// connectTimeout bounds the handshake, and the wait for MailHog to add the connection to its receivers.
	connectTimeout = 10 * time.Second
)

// feed receives new messages from MailHog's websocket and adds them to the client's index.
type feed struct {
	client *Client

	mu      sync.Mutex // locked before the index's
	started bool
	// held are messages pushed while the inbox is read for the first time, or for the first time since the connection
	// broke: they come after what is being read. Nil at other times.
	held    []stored
	holding bool
	err     error // why there is no connection; nil while there is one
}

// start starts receiving, if that has not been done yet. It returns false if the client is closed.
func (f *feed) start() bool {
	f.client.mu.Lock() // with which Close cancels, and after which it waits
	defer f.client.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.client.ctx.Err() != nil {
		return false
	}
	if !f.started {
		f.started = true
		f.client.running.Go(f.run)
	}
	return true
}

// disconnected returns why there is no connection; nil while there is one, or none was asked for.
func (f *feed) disconnected() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *feed) setDisconnected(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// run keeps a connection to MailHog and fills the index from it, until the client is closed.
func (f *feed) run() {
	retry := firstRetry
	for f.client.ctx.Err() == nil {
		connected, err := false, f.client.detect(f.client.ctx)
		if f.client.source != nil {
			f.poll()
			return
		}
		if err == nil {
			connected, err = f.runOnce()
		}
		if connected {
			retry = firstRetry
		}
		f.setDisconnected(err)
		select {
		case <-time.After(retry):
		case <-f.client.ctx.Done():
		}
		retry = min(2*retry, lastRetry)
	}
}

// runOnce connects, reads the inbox, and then adds what is pushed to the index until the connection ends. connected
// reports whether it got as far as that.
//
// No message may be missed in between. MailHog answers the handshake before it adds the connection to its list of
// receivers, but reads from the connection only afterwards: so the answer to a ping proves that it is on the list.
// What is pushed while the inbox is read is held back, so that the order is kept.
func (f *feed) runOnce() (connected bool, err error) {
	ctx, cancel := context.WithCancel(f.client.ctx)
	defer cancel()
	conn, err := f.dial(ctx)
	if err != nil {
		return false, err
	}
	defer conn.CloseNow()

	f.mu.Lock()
	f.holding = true
	f.mu.Unlock()
	ended := make(chan error, 1)
	f.client.running.Go(func() { ended <- f.receive(ctx, conn) })

	err = f.catchUp(ctx, conn)
	f.release()
	if err != nil {
		cancel()
		<-ended
		return false, err
	}
	f.setDisconnected(nil)
	return true, <-ended
}

func (f *feed) dial(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	// The client's own timeout would end the connection, not only the handshake.
	client := *f.client.api.client
	client.Timeout = 0
	conn, _, err := websocket.Dial(ctx, f.client.api.url+"/api/v2/websocket", &websocket.DialOptions{HTTPClient: &client})
	if err != nil {
		return nil, fmt.Errorf("MailHog's websocket at %s cannot be reached (is MailHog running?): %w", f.client.api.base, err)
	}
	conn.SetReadLimit(-1) // messages may be of any length
	return conn, nil
}

// catchUp returns when all new messages come over the connection and those before them have been read.
func (f *feed) catchUp(ctx context.Context, conn *websocket.Conn) error {
	ping, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := conn.Ping(ping); err != nil {
		return fmt.Errorf("MailHog's websocket at %s does not answer: %w", f.client.api.base, err)
	}
	return f.client.refresh(ctx)
}

// receive adds what is pushed to the index and does nothing else: MailHog drops a slow receiver, or delays deliveries.
func (f *feed) receive(ctx context.Context, conn *websocket.Conn) error {
	for {
		_, data, err := conn.Read(ctx)
		if err != nil {
			return fmt.Errorf("the connection to MailHog's websocket at %s broke: %w", f.client.api.base, err)
		}
		var m stored
		if err := json.Unmarshal(data, &m); err != nil || m.ID == "" {
			return fmt.Errorf("MailHog at %s pushed something that is no message: %.60q", f.client.api.base, data)
		}
		f.mu.Lock()
		if f.holding {
			f.held = append(f.held, m)
		} else {
			f.client.index.add(m)
		}
		f.mu.Unlock()
	}
}

// release adds the held messages to the index.
func (f *feed) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.held {
		f.client.index.add(m)
	}
	f.held, f.holding = nil, false
}
