// Package statefile reads and writes the file by which commands find the stack of a `harness up`.
package statefile

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/input"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
)

// Dir is the directory that holds the state file, logs and evidence, in the directory of a stack.
const Dir = ".harness"

// EnvStack is the variable that names the directory of a stack, as --stack does. It counts where that is not given.
const EnvStack = "HARNESS_STACK"

const fileName = "stack.json"

// ErrNoStack says that no stack is up here: there is no state file, or the process that wrote it has ended.
var ErrNoStack = errors.New("no stack is up here: start one with `harness up`")

// noStackIn is [ErrNoStack] of a directory that was named.
type noStackIn string

func (dir noStackIn) Error() string {
	return fmt.Sprintf("no stack is up in %s: start one with `harness up --stack %[1]s`", string(dir))
}

// Is says that it is [ErrNoStack].
func (noStackIn) Is(target error) bool { return target == ErrNoStack }

// State is what `harness up` writes about its stack while it is up, for other commands and for the attach backend.
type State struct {
	// Schema is where the JSON Schema of the file is, which the stack's API serves. [Write] sets it.
	Schema string `json:"$schema,omitempty"`
	// PID is the process that keeps the stack up, Started when the operating system started it. Together they distinguish
	// a running stack from a file that a killed one left behind.
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Backend string    `json:"backend"`

	App     App     `json:"app"`
	Inngest Inngest `json:"inngest"`
	MailHog MailHog `json:"mailhog"`
	Mongo   Mongo   `json:"mongo"`
	// Dashboard is the page that shows what happens on the stack; empty where there is none.
	Dashboard URL `json:"dashboard,omitzero"`
	// API is the JSON API of the stack.
	API API `json:"api,omitzero"`
}

// API is the entry of the stack's JSON API in a [State]. Every process that knows the token can use it.
type API struct {
	URL   string `json:"url"`
	Token string `json:"token,omitempty"`
}

// App is the app's entry in a [State]. URL is empty where the stack runs no app.
type App struct {
	URL  string `json:"url,omitempty"`
	Path string `json:"path,omitempty"`
	// Connect says that it connects to the Inngest server, and serves no functions at Path.
	Connect bool `json:"connect,omitempty"`
}

// Inngest is the Inngest server's entry in a [State]. The keys are those of the stack; a dev server has none.
type Inngest struct {
	URL        string `json:"url"`
	EventKey   string `json:"eventKey,omitempty"`
	SigningKey string `json:"signingKey,omitempty"`
	// StandIn says that this is sim, until the server is built.
	StandIn bool `json:"standIn,omitempty"`
}

// URL is a server's entry in a [State].
type URL struct {
	URL string `json:"url"`
}

// MailHog is the mail catcher's entry in a [State], whichever program it is.
type MailHog struct {
	URL  string `json:"url"`
	SMTP string `json:"smtp"`
	// Program is empty for a mailbox of a mail server.
	Program harness.MailCatcher `json:"program,omitempty"`
}

// Mongo is the database's entry in a [State]. URI includes the name of the app's database.
type Mongo struct {
	URI string `json:"uri"`
}

// Write writes s to .harness/stack.json under dir, atomically, with the identity of this process. The caller removes it
// with [Remove] when its stack is down.
func Write(dir string, s State) error {
	s, err := s.OfThisProcess()
	if err != nil {
		return err
	}
	if s.API.URL != "" {
		s.Schema = s.API.URL + "/schemas/stack.json"
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the stack's state: %w", err)
	}
	file := path(dir)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("make the directory of the stack's state file: %w", err)
	}
	return replace(file, string(data)+"\n")
}

// OfThisProcess returns s with the identity of this process.
func (s State) OfThisProcess() (State, error) {
	started, err := proc.StartTime(os.Getpid())
	if err != nil {
		return s, fmt.Errorf("find out when this process started: %w", err)
	}
	s.PID, s.Started = os.Getpid(), started
	return s, nil
}

// replace writes a file that only this user can read, atomically.
func replace(file, text string) error {
	tmp := fmt.Sprintf("%s.%d", file, os.Getpid())
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		return errors.Join(fmt.Errorf("write the stack's state file: %w", err), os.Remove(tmp)) // a full disk leaves it empty
	}
	if err := os.Rename(tmp, file); err != nil {
		return errors.Join(fmt.Errorf("put the stack's state file in place: %w", err), os.Remove(tmp))
	}
	return nil
}

// Remove removes the state file under dir if this process wrote it. A missing file is not an error.
func Remove(dir string) error {
	s, err := read(path(dir))
	if errors.Is(err, fs.ErrNotExist) || (err == nil && s.PID != os.Getpid()) {
		return nil
	}
	return os.Remove(path(dir))
}

// Find looks for a state file in dir, or, where dir is empty, in the working directory and those above it. It returns the
// state and the directory of the file. The error is [ErrNoStack] where there is none, or where its process has ended. Files
// of other users are ignored: what they name would be trusted, and ended by `harness down`.
func Find(dir string) (State, string, error) {
	named := dir != ""
	dir, err := filepath.Abs(dir)
	if err != nil {
		return State{}, "", err
	}
	none, ignored := ErrNoStack, ""
	if named {
		none = noStackIn(dir)
	}
	for {
		s, err := read(path(dir))
		switch {
		case err == nil:
			return s, dir, s.alive(path(dir), none)
		case errors.Is(err, errForeign):
			ignored = path(dir)
		case !errors.Is(err, fs.ErrNotExist):
			return State{}, "", err
		}
		up := filepath.Dir(dir)
		if (up == dir || named) && ignored != "" {
			return State{}, "", fmt.Errorf("%w (%s is ignored: it belongs to another user)", none, ignored)
		}
		if up == dir || named {
			return State{}, "", none
		}
		dir = up
	}
}

var errForeign = errors.New("it belongs to another user")

// isMine is [mine], but in tests, which cannot give files to other users.
var isMine = mine

func read(file string) (State, error) {
	info, err := os.Lstat(file)
	if err != nil {
		return State{}, err
	}
	if !isMine(info) {
		return State{}, errForeign
	}
	var s State
	data, err := input.File(file)
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err == nil && !s.printable() {
		err = errors.New("it has control characters")
	}
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, err
	}
	if err != nil {
		return State{}, fmt.Errorf("%s cannot be read (%w): remove it and start the stack again", file, err)
	}
	return s, nil
}

// printable reports whether the texts of s can be printed on a terminal. [Write] writes no others.
func (s State) printable() bool {
	for _, text := range []string{
		s.Backend, s.App.URL, s.App.Path, s.Inngest.URL, s.Inngest.EventKey, s.Inngest.SigningKey, s.MailHog.URL, s.MailHog.SMTP, s.Mongo.URI, s.Dashboard.URL, s.API.URL, s.API.Token,
	} {
		if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return false
		}
	}
	return true
}

// alive returns nil when the process that wrote s is still running: the same process, not a later one with its number. Its
// error wraps none.
func (s State) alive(file string, none error) error {
	started, err := proc.StartTime(s.PID)
	switch {
	case err != nil:
		return fmt.Errorf("%s is stale, its process %d is gone: %w", file, s.PID, none)
	case started.Sub(s.Started).Abs() > 2*time.Second:
		return fmt.Errorf("%s is stale, process %d is another program now: %w", file, s.PID, none)
	}
	return nil
}

func path(dir string) string { return filepath.Join(dir, Dir, fileName) }

// Endpoints are the addresses of the stack's servers. That of the database includes the name of the app's database.
func (s State) Endpoints() harness.Endpoints {
	return harness.Endpoints{
		Inngest: s.Inngest.URL, MailHog: s.MailHog.URL, SMTP: s.MailHog.SMTP, Mongo: s.Mongo.URI,
		Keys: harness.Keys{Event: s.Inngest.EventKey, Signing: s.Inngest.SigningKey},
	}
}

// Env is the configuration of an app on this stack. It has the addresses of the servers themselves, because the proxies
// belong to the stack's app.
func (s State) Env() harness.Env {
	return harness.Env{
		Addr:       strings.TrimPrefix(s.App.URL, "http://"),
		AppURL:     s.App.URL,
		InngestURL: s.Inngest.URL,
		EventKey:   cmp.Or(s.Inngest.EventKey, harness.DevEventKey),
		SigningKey: s.Inngest.SigningKey,
		MongoURI:   s.Mongo.URI,
		SMTPAddr:   s.MailHog.SMTP,
		Connect:    s.App.Connect,
	}
}
