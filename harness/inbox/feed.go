package inbox

import (
	"context"
	"encoding/json"
	"fmt"
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

// startFeed starts the goroutine that receives new messages, if it does not run yet. It returns false if the client is
// closed.
func (c *Client) startFeed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return false
	}
	if !c.feeding {
		c.feeding = true
		c.running.Go(c.feed)
	}
	return true
}

// feed keeps a websocket connection to MailHog and fills the index from it, until Close.
func (c *Client) feed() {
	retry := firstRetry
	for c.ctx.Err() == nil {
		connected, err := c.feedOnce()
		if connected {
			retry = firstRetry
		}
		c.mu.Lock()
		c.feedErr = err
		c.mu.Unlock()
		select {
		case <-time.After(retry):
		case <-c.ctx.Done():
		}
		retry = min(2*retry, lastRetry)
	}
}

// feedOnce connects, reads the inbox, and then adds what is pushed to the index until the connection ends. connected
// reports whether it got as far as that.
//
// No message may be missed in between. MailHog answers the handshake before it adds the connection to its list of
// receivers, but reads from the connection only afterwards: so the answer to a ping proves that it is on the list.
// What is pushed while the inbox is read is held back, so that the order is kept.
func (c *Client) feedOnce() (connected bool, err error) {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	conn, err := c.dial(ctx)
	if err != nil {
		return false, err
	}
	defer conn.CloseNow()

	c.mu.Lock()
	c.holding = true
	c.mu.Unlock()
	ended := make(chan error, 1)
	c.running.Go(func() { ended <- c.receive(ctx, conn) })

	err = c.catchUp(ctx, conn)
	c.release()
	if err != nil {
		cancel()
		<-ended
		return false, err
	}
	c.mu.Lock()
	c.feedErr = nil
	c.mu.Unlock()
	return true, <-ended
}

func (c *Client) dial(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	// The client's own timeout would end the connection, not only the handshake.
	client := *c.api.client
	client.Timeout = 0
	conn, _, err := websocket.Dial(ctx, c.api.url+"/api/v2/websocket", &websocket.DialOptions{HTTPClient: &client})
	if err != nil {
		return nil, fmt.Errorf("MailHog's websocket at %s cannot be reached (is MailHog running?): %w", c.api.base, err)
	}
	conn.SetReadLimit(-1) // messages may be of any length
	return conn, nil
}

// catchUp returns when all new messages come over the connection and those before them have been read.
func (c *Client) catchUp(ctx context.Context, conn *websocket.Conn) error {
	ping, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := conn.Ping(ping); err != nil {
		return fmt.Errorf("MailHog's websocket at %s does not answer: %w", c.api.base, err)
	}
	return c.refresh(ctx)
}

// receive adds what is pushed to the index and does nothing else: MailHog drops a slow receiver, or delays deliveries.
func (c *Client) receive(ctx context.Context, conn *websocket.Conn) error {
	for {
		_, data, err := conn.Read(ctx)
		if err != nil {
			return fmt.Errorf("the connection to MailHog's websocket at %s broke: %w", c.api.base, err)
		}
		var m stored
		if err := json.Unmarshal(data, &m); err != nil || m.ID == "" {
			return fmt.Errorf("MailHog at %s pushed something that is no message: %.60q", c.api.base, data)
		}
		c.mu.Lock()
		if c.holding {
			c.held = append(c.held, m)
		} else {
			c.index.add(m)
		}
		c.mu.Unlock()
	}
}

// release adds the held messages to the index.
func (c *Client) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.held {
		c.index.add(m)
	}
	c.held, c.holding = nil, false
}
