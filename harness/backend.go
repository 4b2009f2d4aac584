package harness

import (
	"context"
	"errors"
	"time"
)

// A Service is one of the programs of a stack.
type Service string

// The services of a stack, in the order in which a stop visits them last to first.
const (
	ServiceMongo   Service = "mongo"
	ServiceMailHog Service = "mailhog"
	ServiceInngest Service = "inngest"
	ServiceApp     Service = "app"
)

// ErrUnsupported is returned by a [Servers] for an operation that its backend cannot do, such as stopping a server
// that somebody else started.
var ErrUnsupported = errors.New("not supported by this backend")

// A Backend starts the three servers somewhere: as processes, in containers, or not at all because they already run.
// Every implementation passes the suite in package backendtest.
type Backend interface {
	// Name is the backend's name as commands and tests print it: "local", "containers", "attach".
	Name() string

	// Start starts the servers side by side and returns when all of them are usable. When it fails, for whatever
	// reason, the end of ctx included, it has freed all that it had started, and the error says which server failed,
	// why, and what to do. ctx bounds the start only: the servers run until Close.
	Start(ctx context.Context, o BackendOptions) (Servers, error)
}

// BackendOptions says how a backend starts its servers.
type BackendOptions struct {
	// Ports are the host ports to publish. A zero port means any free one.
	Ports Ports

	// Dir holds the servers' logs and scratch data. It must exist. Required.
	Dir string

	// RetryInterval is the pause before Inngest retries a failed step, in whole seconds. Zero leaves it to the
	// server: 15 s and up to 30 s of jitter for the first retry.
	RetryInterval time.Duration

	// WithoutInngest leaves out the Inngest server: the caller, itself a backend, puts something else in its place. No
	// method is called for that service then, and Endpoints and Describe do not have it.
	WithoutInngest bool

	// Progress is told what takes long. Nil is silent. It is called from one goroutine at a time.
	Progress func(Progress)
}

// Ports are the ports a user sees. A zero port means any free one.
type Ports struct {
	App, Inngest, MailHog, SMTP, Mongo int
	// Dashboard is for the page of `harness up`; a stack by itself has none.
	Dashboard int
}

// KnownPorts returns the ports that people know these services by.
func KnownPorts() Ports {
	return Ports{App: 3000, Inngest: 8288, MailHog: 8025, SMTP: 1025, Mongo: 27017, Dashboard: 8300}
}

// Progress is one line of news about something that takes time.
type Progress struct {
	// Subject is what is worked on: "inngest", "app".
	Subject string
	// Doing is what is being done, as in "building v1.43.0".
	Doing string
	// Elapsed is the time spent on it so far.
	Elapsed time.Duration
	// Done says that it is over.
	Done bool
}

// Endpoints are the addresses of the three servers as a program on this machine uses them.
type Endpoints struct {
	Inngest string // base URL
	MailHog string // base URL of page and API
	SMTP    string // host:port
	Mongo   string // URI without a database name
}

// ServerInfo describes one running server to a person.
type ServerInfo struct {
	Service Service
	// Version says what runs, as in "FerretDB v1.24.2 (stand-in for MongoDB)".
	Version string
	// Source says where it came from: "built", "installed", an image name, "attached".
	Source string
	// HasUI says that the server brings a web page of its own.
	HasUI bool
	// LogFile is the file that holds its whole log; empty where there is none.
	LogFile string
}

// Servers are three running servers. Its methods are safe for concurrent use.
type Servers interface {
	// Endpoints stay the same for the life of the servers, over restarts too.
	Endpoints() Endpoints

	// Describe lists the servers in the order mongo, mailhog, inngest.
	Describe() []ServerInfo

	// Reach returns the address, host:port, under which the Inngest server reaches what listens on addr, a
	// host:port on this machine's loopback interface.
	Reach(ctx context.Context, addr string) (string, error)

	// Stop ends a server in order, Kill at once; Run starts it again on its old address and returns when it is
	// usable. Inngest forgets its apps and runs: [Stack.Restart] syncs the app again.
	Stop(ctx context.Context, s Service) error
	Kill(ctx context.Context, s Service) error
	Run(ctx context.Context, s Service) error

	// Pause freezes a server: connections stay open, nothing answers. Resume lets it go on.
	Pause(ctx context.Context, s Service) error
	Resume(ctx context.Context, s Service) error

	// Tail returns the last lines of a server's log, oldest first.
	Tail(s Service) []string

	// Died delivers at most one error: the exit, with the end of its log, of the first server that ended without
	// being told to.
	Died() <-chan error

	// Close stops the servers and frees all that Start made. It may be called more than once; ctx bounds how long
	// a server is given to end by itself.
	Close(ctx context.Context) error
}

// AppHost is implemented by [Servers] that somebody else keeps up, and that may have an app on them already, as those
// of a `harness up` have. A stack on them uses that app, past any taps, and runs none of its own.
type AppHost interface {
	// HostedApp returns what that app was told; ok is false where there is none.
	HostedApp() (env Env, ok bool)
}
