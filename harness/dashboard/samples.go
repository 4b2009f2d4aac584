package dashboard

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// A Sample is something to try the app with: an event for the Inngest server, or a request to the app. Either Event or
// Path is required.
type Sample struct {
	// Name is what the menu says. Required.
	Name string
	// Event is sent to the Inngest server, each time with a fresh id: the server drops a second event of one id.
	Event harness.Event
	// Path is where a request goes, relative to the app's URL, as in "/api/requests". Method empty: POST. A Body is
	// JSON.
	Method, Path string
	Body         []byte
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
		data, err := os.ReadFile(file)
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

// sampleTimeout bounds what the app may take to answer a sample.
const sampleTimeout = 15 * time.Second

// send sends a sample. eventID is the server's id for an event; empty where the app sends what there is to send.
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
	method := s.Method
	if method == "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, env.AppURL+s.Path, bytes.NewReader(s.Body))
	if err != nil {
		return "", "", err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", "", fmt.Errorf("the app does not answer: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		answer, _ := io.ReadAll(io.LimitReader(res.Body, 500))
		return "", "", fmt.Errorf("the app answered %s: %s", res.Status, strings.TrimSpace(strings.ToValidUTF8(string(answer), "\uFFFD")))
	}
	return "", fmt.Sprintf("Sent %s: the app answered %s", s.Name, res.Status), nil
}

// sendFresh sends an event under an id that nobody has used: the server drops a second event of one id.
func (d *Dashboard) sendFresh(ctx context.Context, e harness.Event) (string, error) {
	e.ID = "dashboard-" + strings.ToLower(rand.Text())
	ids, err := d.stack.Send(ctx, e)
	if err != nil {
		return "", err
	}
	d.follower.sent(ids[0], e)
	return ids[0], nil
}
