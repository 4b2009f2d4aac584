package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
)

// StateDir is the directory, in the working directory of `harness up`, that holds the state file, logs and evidence.
const StateDir = ".harness"

const stateFileName = "stack.json"

// ErrNoStack says that no stack is up here: there is no state file, or the process that wrote it is gone.
var ErrNoStack = errors.New("no stack is up here: start one with `harness up` (in this repository: `make dev`)")

// State is what `harness up` writes about its stack while it is up, for other commands and for the attach backend.
type State struct {
	// PID is the process that keeps the stack up; Started is when that process started, by the system's account.
	// Together they tell a live stack from a file that a killed one left behind.
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Backend string    `json:"backend"`

	App     StateApp     `json:"app"`
	Inngest StateURL     `json:"inngest"`
	MailHog StateMailHog `json:"mailhog"`
	Mongo   StateMongo   `json:"mongo"`
	// Dashboard is the page that shows what happens on the stack; empty where there is none.
	Dashboard StateURL `json:"dashboard,omitzero"`
}

// StateApp is the app's entry in a [State]. URL is empty where the stack runs no app.
type StateApp struct {
	URL  string `json:"url,omitempty"`
	Path string `json:"path,omitempty"`
}

// StateURL is a server's entry in a [State].
type StateURL struct {
	URL string `json:"url"`
}

// StateMailHog is MailHog's entry in a [State].
type StateMailHog struct {
	URL  string `json:"url"`
	SMTP string `json:"smtp"`
}

// StateMongo is the database's entry in a [State]. URI includes the name of the app's database.
type StateMongo struct {
	URI string `json:"uri"`
}

// WriteState writes s to .harness/stack.json under dir, in one step, as this process's. The caller removes it with
// [RemoveState] when its stack is down.
func WriteState(dir string, s State) error {
	started, err := proc.StartTime(os.Getpid())
	if err != nil {
		return fmt.Errorf("find out when this process started: %w", err)
	}
	s.PID, s.Started = os.Getpid(), started
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the stack's state: %w", err)
	}
	file := stateFile(dir)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("make the directory of the stack's state file: %w", err)
	}
	tmp := fmt.Sprintf("%s.%d", file, os.Getpid())
	if err := os.WriteFile(tmp, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the stack's state file: %w", err)
	}
	if err := os.Rename(tmp, file); err != nil {
		return errors.Join(fmt.Errorf("put the stack's state file in place: %w", err), os.Remove(tmp))
	}
	return nil
}

// RemoveState removes the state file under dir if it is this process's; a missing one is no error.
func RemoveState(dir string) error {
	s, err := readState(stateFile(dir))
	if errors.Is(err, fs.ErrNotExist) || (err == nil && s.PID != os.Getpid()) {
		return nil
	}
	return os.Remove(stateFile(dir))
}

// FindState looks for a state file in dir and the directories above it and returns the state with the directory
// that it stands in. The error is [ErrNoStack] where there is none, or where there is one whose process is gone.
func FindState(dir string) (State, string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return State{}, "", err
	}
	for {
		s, err := readState(stateFile(dir))
		switch {
		case err == nil:
			return s, dir, s.alive(stateFile(dir))
		case !errors.Is(err, fs.ErrNotExist):
			return State{}, "", err
		}
		up := filepath.Dir(dir)
		if up == dir {
			return State{}, "", ErrNoStack
		}
		dir = up
	}
}

func readState(file string) (State, error) {
	var s State
	data, err := os.ReadFile(file)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("%s cannot be read (%w): remove it and start the stack again", file, err)
	}
	return s, nil
}

// alive returns nil when the process that wrote s still runs: the same process, not a later one with its number.
func (s State) alive(file string) error {
	started, err := proc.StartTime(s.PID)
	switch {
	case err != nil:
		return fmt.Errorf("%s is stale, its process %d is gone: %w", file, s.PID, ErrNoStack)
	case started.Sub(s.Started).Abs() > 2*time.Second:
		return fmt.Errorf("%s is stale, process %d is another program by now: %w", file, s.PID, ErrNoStack)
	}
	return nil
}

func stateFile(dir string) string { return filepath.Join(dir, StateDir, stateFileName) }

// Env is what an app on this stack is told: the servers' own addresses, since the proxies belong to the stack's app.
func (s State) Env() Env {
	return Env{
		Addr:       strings.TrimPrefix(s.App.URL, "http://"),
		AppURL:     s.App.URL,
		InngestURL: s.Inngest.URL,
		EventKey:   eventKey,
		MongoURI:   s.Mongo.URI,
		SMTPAddr:   s.MailHog.SMTP,
	}
}
