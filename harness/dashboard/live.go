package dashboard

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const (
	// coalesce is the least time between two messages to one browser, which draws no faster than that.
	coalesce = 12 * time.Millisecond
	// heartbeat is how often a stream without news sends a comment, so that a browser keeps it open.
	heartbeat = 15 * time.Second
)

// getLive streams the board: all of it first, then what changes. With ?event=ID it is that event's row alone.
func (d *Dashboard) getLive(w http.ResponseWriter, r *http.Request) {
	stream := http.NewResponseController(w)
	_ = stream.SetWriteDeadline(time.Time{}) // where the server sets one, it is not for streams
	w.Header().Set("Content-Type", "text/event-stream")
	only := r.URL.Query().Get("event")
	beat := time.Tick(heartbeat)
	var revision uint64
	for {
		c, now, wake := d.board.changes(revision, only)
		if !c.empty() {
			data, err := json.Marshal(c)
			if err != nil {
				return
			}
			if _, err := fmt.Fprintf(w, "data: %s\n\n", data); err != nil || stream.Flush() != nil {
				return
			}
		}
		revision = now
		select { // changes gather
		case <-time.After(coalesce):
		case <-r.Context().Done():
			return
		case <-d.ctx.Done():
			return
		}
		select {
		case <-wake:
		case <-beat:
			if _, err := fmt.Fprint(w, ":\n\n"); err != nil || stream.Flush() != nil {
				return
			}
		case <-r.Context().Done():
			return
		case <-d.ctx.Done():
			return
		}
	}
}
