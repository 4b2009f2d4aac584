package harness

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Service is one of the programs of a stack.
type Service string

// The services of a stack.
const (
	ServiceMongo   Service = "mongo"
	ServiceMailHog Service = "mailhog"
	ServiceInngest Service = "inngest"
	ServiceApp     Service = "app"
)

// The further services of a stack in production mode: see [Keys].
const (
	ServiceRedis    Service = "redis"
	ServicePostgres Service = "postgres"
)

// A MailCatcher is a program that catches the emails of a stack. Its service is [ServiceMailHog], whichever it is.
type MailCatcher string

// The mail catchers.
const (
	MailHog MailCatcher = "mailhog" // the default
	Mailpit MailCatcher = "mailpit"
)

// MailCatchers returns all mail catchers, the default first.
func MailCatchers() []MailCatcher { return []MailCatcher{MailHog, Mailpit} }

// Title is the program's name as people write it: that of MailHog where none is named.
func (m MailCatcher) Title() string {
	if m == Mailpit {
		return "Mailpit"
	}
	return "MailHog"
}

// Replica is one instance of an app that has several, counted from 1.
func Replica(n int) Service { return Service(fmt.Sprintf("%s-%d", ServiceApp, n)) }

// ErrUnsupported is returned by a [Servers] for an operation that its backend cannot do, such as stopping a server
// that it has not started.
var ErrUnsupported = errors.New("not supported by this backend")

// A Backend starts the three servers somewhere: as processes, in containers, or not at all because they already run.
// Every implementation passes the suite in package backendtest.
type Backend interface {
	// Name is the backend's name as commands and tests print it: "local", "containers", "attach".
	Name() string

	// Start starts the servers concurrently and returns when all of them are usable. When it fails, also because ctx
	// ended, it has freed all that it had started, and the error says which server failed, why, and what to do. ctx
	// bounds the start only: the servers run until Close.
	Start(ctx context.Context, o BackendOptions) (Servers, error)
}

// BackendOptions says which servers a backend starts, and how.
type BackendOptions struct {
	// Ports are the host ports to publish. A zero port means any free one.
	Ports Ports

	// Dir holds the servers' logs and scratch data. It must exist. Required.
	Dir string

	// RetryInterval is the pause before Inngest retries a failed step, in whole seconds. Zero: the server's default, 15 s
	// and up to 30 s of jitter for the first retry.
	RetryInterval time.Duration

	// Services are the servers to start. Empty: all of them. The others are in neither Endpoints nor Describe, and calls for
	// them fail.
	Services []Service

	// MailCatcher is the program that catches the emails. Empty: [MailHog].
	MailCatcher MailCatcher
	// Keys have the self-hosted Inngest server run, as in production: on Redis and PostgreSQL, with these keys. When it ends
	// by itself it is started again, as by a restart policy. Zero: the dev server.
	Keys Keys

	// Connect says that apps will connect to the Inngest server (Connect): its gateway must be reachable from this machine
	// at the address that the server names.
	Connect bool

	// ReplicaSet has MongoDB run as a replica set of one member, as which it has transactions and change streams. Its stand-in
	// cannot. False: a single server.
	ReplicaSet bool

	// Progress receives reports on what takes long. It is called by one goroutine at a time. Nil: no reports.
	Progress func(Progress)
}

// Ports are the ports a user sees. A zero port means any free one.
type Ports struct {
	App, Inngest, MailHog, SMTP, Mongo int
	// Dashboard is for the page of `harness up`; a stack by itself has none.
	Dashboard int
}

// KnownPorts returns the default ports of these services.
func KnownPorts() Ports {
	return Ports{App: 3000, Inngest: 8288, MailHog: 8025, SMTP: 1025, Mongo: 27017, Dashboard: 8300}
}

// Progress is a report on something that takes time.
type Progress struct {
	// Subject is what is worked on: "inngest", "app".
	Subject string
	// Doing is what is being done, as in "building v1.43.0".
	Doing string
	// Elapsed is the time spent on it so far.
	Elapsed time.Duration
	// Done says that it has ended.
	Done bool
}

// Keys are the keys of an Inngest server in production mode.
type Keys struct {
	Event   string // authorizes sending events
	Signing string // signs the server's calls to apps, and authorizes reading and registering; hexadecimal digits
}

// Endpoints are the addresses of the servers as a program on this machine uses them.
type Endpoints struct {
	Inngest string // base URL
	MailHog string // base URL of the mail catcher's page and API
	SMTP    string // host:port
	Mongo   string // URI without a database name
	Keys    Keys   // of the Inngest server; zero for a dev server, which needs none
}

// ServerInfo describes one running server, for people.
type ServerInfo struct {
	Service Service
	// Version says what runs, as in "FerretDB v1.24.2 (stand-in for MongoDB)".
	Version string
	// Source says where it came from: "built", "installed", an image name, "attached".
	Source string
	// MailCatcher is the program that catches the emails; of [ServiceMailHog] only, and empty for a mailbox that is none.
	MailCatcher MailCatcher
	// HasUI says that the server brings a web page of its own.
	HasUI bool
	// LogFile is the file that holds its whole log; empty where there is none.
	LogFile string
}

// Servers are the running servers of a stack. Its methods are safe for concurrent use.
type Servers interface {
	// Endpoints returns where the servers answer. It stays the same for the life of the servers, over restarts too.
	Endpoints() Endpoints

	// Describe lists the servers in the order mongo, mailhog, redis, postgres, inngest.
	Describe() []ServerInfo

	// Reach returns the host:port at which the Inngest server reaches addr, a host:port on this machine's loopback
	// interface.
	Reach(ctx context.Context, addr string) (string, error)

	// Stop shuts a server down gracefully. Kill terminates it immediately. Start starts it again on its old address and
	// returns when it is usable. None of them does anything to a server that is in that state already. The dev server of
	// Inngest forgets its apps and runs when it ends.
	Stop(ctx context.Context, s Service) error
	Kill(ctx context.Context, s Service) error
	Start(ctx context.Context, s Service) error

	// Pause freezes a server: connections stay open, nothing answers. Resume lets it go on.
	Pause(ctx context.Context, s Service) error
	Resume(ctx context.Context, s Service) error

	// Tail returns the last lines of a server's log, oldest first.
	Tail(s Service) []string

	// Done is closed when a server has ended without being told to, and is not started again: never by Stop, Kill or Close.
	Done() <-chan struct{}

	// Err returns nil until Done is closed. After that, the exit of the first such server, with the end of its log.
	Err() error

	// Close stops the servers and frees all that the backend's Start made. It may be called more than once; ctx bounds
	// how long a server may take to shut down gracefully.
	Close(ctx context.Context) error
}

// AppHost is implemented by [Servers] that were running before, and that may have an app already, as those of a `harness up`
// have. A stack on them uses that app, without taps, and runs none of its own.
type AppHost interface {
	// HostedApp returns that app's configuration; ok is false where there is none.
	HostedApp() (env Env, ok bool)
}
