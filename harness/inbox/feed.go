package inbox

import (
	"sync"
	"time"
)

const (
	// firstRetry and lastRetry bound the pause before a broken connection is tried again. MailHog restarts in 50 ms.
	firstRetry = 5 * time.Millisecond
	lastRetry  = 500 * time.Millisecond
)

// feed keeps the client's index up to date with what arrives, once something waits for it.
type feed struct {
	client *Client

	mu      sync.Mutex
	started bool
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

// run keeps a connection to the mailbox until the client is closed.
func (f *feed) run() {
	ctx, retry := f.client.ctx, firstRetry
	for ctx.Err() == nil {
		source, err := f.client.detect(ctx)
		if err == nil {
			err = source.watch(ctx, f.client, func() {
				f.setDisconnected(nil)
				retry = firstRetry
			})
		}
		f.setDisconnected(err)
		select {
		case <-time.After(retry):
		case <-ctx.Done():
		}
		retry = min(2*retry, lastRetry)
	}
}
