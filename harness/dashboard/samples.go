package dashboard

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/input"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// A Sample is something to try the app with: an event for the Inngest server, or a request to the app. Either Event or
// Path is required.
type Sample struct {
	// Name is what the menu says. Required.
	Name string
	// Event is sent to the Inngest server, each time with a fresh id: the server drops a second event of one id.
	Event harness.Event
	// Path is where a request goes, relative to the app's URL, as in "/api/requests". Method empty: POST. A Body is
	// JSON. If the app answers with JSON that has an "id", the first event that names that id is shown as the result.
	Method, Path string
	Body         []byte
}

// To says where the sample goes: the name of its event, or the method and path of its request.
func (s Sample) To() string {
	if s.Event.Name != "" {
		return s.Event.Name
	}
	return cmp.Or(s.Method, http.MethodPost) + " " + s.Path
}

func (s Sample) check() error {
	switch {
	case s.Name == "":
		return errors.New("it has no name")
	case (s.Event.Name == "") == (s.Path == ""):
		return fmt.Errorf("%s: it needs an event or a path of the app, and not both", s.Name)
	case s.Path != "" && !strings.HasPrefix(s.Path, "/"):
		return fmt.Errorf("%s: the path %q begins with no slash", s.Name, s.Path)
	}
	return nil
}

// ReadSamples makes a sample of each .json file in a directory, by name. request says where they go, as in
// "POST /api/requests": each file is then a body. With an empty request each file is an event, {"name": …, "data": …}.
func ReadSamples(dir, request string) ([]Sample, error) {
	method, path, ok := strings.Cut(request, " ")
	if request != "" && (!ok || !strings.HasPrefix(path, "/")) {
		return nil, fmt.Errorf("samples go to %q: say a method and a path, as in \"POST /api/requests\"", request)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err == nil && len(files) == 0 {
		err = errors.New("there is no .json file in it")
	}
	if err != nil {
		return nil, fmt.Errorf("read samples from %s: %w", dir, err)
	}
	var samples []Sample
	for _, file := range files {
		data, err := input.File(file)
		if err != nil {
			return nil, fmt.Errorf("read samples: %w", err)
		}
		s := Sample{Name: strings.TrimSuffix(filepath.Base(file), ".json"), Method: method, Path: path, Body: data}
		if request == "" {
			var event struct {
				Name string          `json:"name"`
				Data json.RawMessage `json:"data"`
			}
			if err := json.Unmarshal(data, &event); err != nil || event.Name == "" {
				return nil, fmt.Errorf("read samples: %s is no event: it needs a name and data, or say where such files are posted to", file)
			}
			s = Sample{Name: s.Name, Event: harness.Event{Name: event.Name, Data: event.Data}}
		}
		samples = append(samples, s)
	}
	return samples, nil
}

const (
	// sampleTimeout bounds what the app may take to answer a sample.
	sampleTimeout = 15 * time.Second
	// mentionTimeout bounds the wait for the event that the app sends because of a sample: it may send none.
	mentionTimeout = 3 * time.Second
)

// send sends a sample. eventID is the server's id of the event that it is, or led to; empty where none is known.
func (d *Dashboard) send(ctx context.Context, s Sample) (eventID, said string, err error) {
	if s.Event.Name != "" {
		id, err := d.sendFresh(ctx, s.Event)
		return id, "Sent " + s.Event.Name, err
	}
	env, ok := d.stack.Env()
	if !ok {
		return "", "", errors.New("the stack runs no app to send it to")
	}
	ctx, cancel := context.WithTimeout(ctx, sampleTimeout)
	defer cancel()
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, cmp.Or(s.Method, http.MethodPost), env.AppURL+s.Path, bytes.NewReader(s.Body))
	if err != nil {
		return "", "", err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", "", fmt.Errorf("the app does not answer: %w", err)
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer)) // the status is what matters
	if res.StatusCode/100 != 2 {
		return "", "", fmt.Errorf("the app answered %s: %s", res.Status, text.Clip(strings.TrimSpace(string(answer)), 500))
	}
	var created struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(answer, &created) == nil && created.ID != "" {
		waiting, cancel := context.WithTimeout(ctx, mentionTimeout)
		defer cancel()
		eventID = d.board.awaitMention(waiting, created.ID, began)
	}
	return eventID, fmt.Sprintf("Sent %s: the app answered %s", s.Name, res.Status), nil
}

// maxAnswer bounds, in bytes, what is read of an app's answer to a sample.
const maxAnswer = 64 << 10

// sendFresh sends an event under a new idempotency key: the server drops a second event with the same one.
func (d *Dashboard) sendFresh(ctx context.Context, e harness.Event) (string, error) {
	e.IdempotencyKey = "dashboard-" + strings.ToLower(rand.Text())
	ids, err := d.stack.Send(ctx, e)
	if err != nil {
		return "", err
	}
	d.follower.sent(ids[0], e)
	return ids[0], nil
}
