package inbox

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

const (
	// firstRetry and lastRetry bound the pause before a broken connection is tried again. MailHog restarts in 50 ms.
	firstRetry = 5 * time.Millisecond
	lastRetry  = 500 * time.Millisecond
	// connectTimeout is for the handshake and for MailHog to show that it has taken note of us.
	connectTimeout = 10 * time.Second
)

// startFeed sees to it that new messages are pushed into the index from now on. It returns false when the client is
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
		timer := time.NewTimer(retry)
		select {
		case <-timer.C:
		case <-c.ctx.Done():
			timer.Stop()
		}
		retry = min(2*retry, lastRetry)
	}
}

// feedOnce connects, reads what came before, and then takes what is pushed until the connection ends. It reports whether
// it came to that.
//
// Nothing may be missed in between. MailHog answers the handshake before it puts the connection on its list of
// receivers, but reads from it only after: the answer to a ping proves that we are on the list. So: connect, ping, read
// the inbox, and let what is pushed meanwhile wait so that the order is kept.
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
	header := http.Header{}
	if u := c.api.user; u != nil {
		password, _ := u.Password()
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)))
	}
	// The client's own timeout would end the connection, not only the handshake.
	client := *c.api.client
	client.Timeout = 0
	conn, _, err := websocket.Dial(ctx, c.api.websocketURL(), &websocket.DialOptions{HTTPClient: &client, HTTPHeader: header})
	if err != nil {
		return nil, fmt.Errorf("MailHog's websocket at %s cannot be reached (is MailHog running?): %w", c.api.base, err)
	}
	conn.SetReadLimit(-1) // a message is as long as it is
	return conn, nil
}

// catchUp makes sure that all messages come over the connection from now on, and reads those that came before.
func (c *Client) catchUp(ctx context.Context, conn *websocket.Conn) error {
	ping, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := conn.Ping(ping); err != nil {
		return fmt.Errorf("MailHog's websocket at %s does not answer: %w", c.api.base, err)
	}
	return c.refresh(ctx)
}

// receive takes what is pushed, and nothing else: a receiver that is slow is thrown out, or holds up deliveries.
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

// release lets the held messages into the index.
func (c *Client) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.held {
		c.index.add(m)
	}
	c.held, c.holding = nil, false
}
