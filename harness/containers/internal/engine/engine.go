// Package engine connects to the Docker engine, pulls images with progress reports, and explains failures in sentences with the
// next step.
//
//	e, err := engine.Connect(ctx)          // "no Docker engine answers at …: start Docker …"
//	defer e.Close()
//	err = engine.EnsureImage(ctx, e, "mongo:8.0", func(doing string) { … })
package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/moby/moby/client"
)

// connectTime bounds the wait for an engine's first answer, which normally takes milliseconds.
const connectTime = 5 * time.Second

// Alternative is the remedy that always works.
const Alternative = "use the local backend (--backend local), which needs no Docker"

// Error is a failure, explained to a user.
type Error struct {
	What   string   // what is wrong, a clause
	Detail string   // the message of the engine or of a registry; may be empty
	Do     []string // the next step, and alternatives
	Err    error    // the cause; may be nil
}

// Error says what is wrong and what can be done.
func (e *Error) Error() string {
	text := e.What
	if e.Detail != "" {
		text += " (" + e.Detail + ")"
	}
	last := len(e.Do) - 1
	if last == 0 {
		return text + ": " + e.Do[0]
	}
	return text + ": " + strings.Join(e.Do[:last], ", ") + ", or " + e.Do[last]
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Connect returns a client of the engine that DOCKER_HOST names, else of the one at a default socket, after it has answered
// once. The caller closes it. The error is an [*Error].
func Connect(ctx context.Context) (*client.Client, error) {
	options := []client.Opt{client.FromEnv}
	if os.Getenv(client.EnvOverrideHost) == "" {
		if socket := userSocket(); socket != "" {
			options = append(options, client.WithHost("unix://"+socket))
		}
	}
	return connect(ctx, options...)
}

func connect(ctx context.Context, options ...client.Opt) (*client.Client, error) {
	c, err := client.New(options...)
	if err != nil {
		return nil, &Error{"the Docker engine's address is not valid", err.Error(), []string{"correct DOCKER_HOST", Alternative}, err}
	}
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	if _, err := c.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		host := c.DaemonHost()
		c.Close()
		return nil, unreachable(host, err)
	}
	return c, nil
}

// userSocket returns the socket of the user's own engine if there is no system-wide one, else "".
func userSocket() string {
	if runtime.GOOS == "windows" || exists("/var/run/docker.sock") {
		return ""
	}
	candidates := []string{filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "docker.sock")}
	if home, err := os.UserHomeDir(); err == nil {
		candidates = append(candidates, filepath.Join(home, ".docker/run/docker.sock"), filepath.Join(home, ".docker/desktop/docker.sock"))
	}
	for _, c := range candidates {
		if filepath.IsAbs(c) && exists(c) {
			return c
		}
	}
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func unreachable(host string, err error) error {
	switch {
	case errors.Is(err, os.ErrPermission), strings.Contains(err.Error(), "permission denied"):
		return &Error{"this user may not use the Docker engine at " + host, "",
			[]string{"join the group that may (sudo usermod -aG docker \"$USER\", then log in again)", Alternative}, err}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{fmt.Sprintf("the Docker engine at %s does not answer within %v", host, connectTime), "",
			[]string{"restart it", Alternative}, err}
	default:
		return &Error{"no Docker engine answers at " + host, "",
			[]string{"start Docker (Docker Desktop, or the service: sudo systemctl start docker)", Alternative}, err}
	}
}

// Explain returns an [*Error] for a failed operation if it has a known cause, else err.
func Explain(err error) error {
	switch text := err.Error(); {
	case client.IsErrConnectionFailed(err), strings.HasSuffix(text, "EOF"):
		return &Error{"the Docker engine has gone away", text, []string{"see why it ended", "start it again", Alternative}, err}
	case full(text):
		return diskFull(err)
	default:
		return err
	}
}

func full(text string) bool { return strings.Contains(text, "no space left on device") }

func diskFull(err error) error {
	return &Error{"the Docker engine's disk is full", "", []string{"make room on it (docker system df shows what takes it, docker system prune frees it), then try again"}, err}
}
