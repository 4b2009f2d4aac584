package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/attach"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/statefile"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

type upOptions struct {
	backend   string
	inngest   string
	mail      string
	ports     string
	mongo     string
	watch     []string
	appPath   string
	appWait   time.Duration
	retry     time.Duration
	replicas  int
	runHeader string
	taps      bool
	connect   bool
	json      bool
	dashboard bool
	samples   string
	samplesTo string
	sim       sim.Options // of --inngest sim
	replace   []string    // files
	stubs     []string    // files
	parent    parentFlag
}

func upCommand(io stdio) *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use:        "up [flags] [-- CMD ARG…]",
		SuggestFor: []string{"start", "run", "dev", "serve"},
		Short:      "start the servers, and the app on them",
		Long: `up starts MongoDB, MailHog and the Inngest dev server, side by side. Then it starts CMD, waits until it
answers on PORT, syncs it with Inngest, checks that its functions are registered, and prints what to
open. CMD is any program, in any language, that serves Inngest functions over HTTP; it may be a
wrapper that starts the real one. Its output is shown line by line behind "app      |".

Interrupt up (Ctrl-C), or run 'harness down', to stop everything gracefully, the app first; the exit
status is then 0. A second interrupt kills. When a server or CMD ends by itself, up stops the rest,
shows the end of its log, and exits with 1.

With --watch, CMD is started anew beside the one that is up when a source file changes, and takes over
once it answers and is synced. When that fails, as with a build error, the last good state stays up, and tests
that use this stack (HARNESS_STACK) fail with the reason. Files of tests are no source.
When CMD ends by itself, the servers stay up and the next change starts it again.

Without CMD only the servers run: see 'harness env'. With --backend attach, HARNESS_INNGEST_URL and
HARNESS_MAIL_URL are then enough: the dashboard shows what happens there, on a staging system say.`,
		Example: `  harness up -- npm run dev
  harness up --ports free --watch . -- go run ./cmd/app
  harness up --app-path /inngest -- sh -c 'make app && exec ./app'
  harness up --json --ports free          # one JSON object when all is up
  harness up --backend containers -- uvicorn main:app
  harness up --connect -- npm run worker  # it connects to Inngest instead of serving HTTP
  harness up --inngest sim -- npm start   # sleeps and retries can be skipped: see harness skip
  harness up --mail mailpit -- ./app      # large attachments, addresses in UTF-8
  harness up --stack worker-1 --ports free -- npm start   # one of many side by side
  harness up --exit-with-parent --ports free -- ./app     # for a test runner, which may be killed
  harness up --inngest start --replicas 3 -- node server.js   # as in production`,
		Annotations: map[string]string{
			"Environment of cmd": `PORT               the port to listen on, on 127.0.0.1
APP_URL            where people reach the app
MONGODB_URI        with the name of a database
MAIL_HOST, MAIL_PORT                  the mail catcher's SMTP; MAIL_USER and MAIL_PASS are set and empty
INNGEST_DEV, INNGEST_BASE_URL         the Inngest server's URL
INNGEST_CONNECT                       1 with --connect; else not set
INNGEST_EVENT_KEY                     any will do; the signing keys are set and empty
With --inngest start, for production mode: INNGEST_DEV is set and empty, INNGEST_EVENT_KEY and
INNGEST_SIGNING_KEY are those of the stack, SERVE_URL and INNGEST_SERVE_HOST where Inngest reaches cmd
All else is as in the environment of up. What is set and empty is so on purpose: a .env file next to
CMD cannot hand real credentials to MailHog, which logs them.`,
		},
		Args: func(cmd *cobra.Command, args []string) error {
			if n := cmd.ArgsLenAtDash(); n > 0 || (n < 0 && len(args) > 0) {
				return usagef("put the app's command behind --, as in: harness up -- %s", strings.Join(args, " "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(args); err != nil {
				return err
			}
			if !isSim(o.inngest) {
				for _, name := range []string{"replace", "stub", "seed", "call-timeout", "keep"} {
					if cmd.Flags().Changed(name) {
						return usagef("--%s is for sim: add --inngest %s, or leave it out", name, inngestSim)
					}
				}
			}
			var err error
			if o.sim.Interventions, err = readInterventions(cmd.Context(), io, o.replace); err != nil {
				return err
			}
			stubs, err := readStubs(cmd.Context(), io, o.stubs)
			if err != nil {
				return err
			}
			o.sim.Interventions.Stubs = append(o.sim.Interventions.Stubs, stubs...)
			ctx := cmd.Context()
			if o.parent != 0 {
				var cancel context.CancelFunc
				ctx, cancel = withParent(ctx, io, o.parent)
				defer cancel()
			}
			return up(ctx, io, o, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.backend, "backend", backendAuto, "where the servers run: `NAME` is auto, local (processes), containers, or attach (to those that run\nalready); auto is containers where a Docker engine answers and has the images, else local")
	f.StringVar(&o.inngest, "inngest", inngestAuto, "`WHICH`: server (the dev server), start (the self-hosted server as in production, on Redis and PostgreSQL of this\nmachine: REDIS_BIN, POSTGRES_BIN; with keys made for it), sim (its stand-in within up, whose clock 'harness skip'\nputs forward), or sim-jump (the same, and no sleep or retry takes time); auto is server, but sim while the local backend\nhas not built it: it is then built in the background")
	f.StringVar(&o.mail, "mail", string(harness.MailHog), "`WHICH` catches the emails: mailhog, or mailpit, which takes large ones quickly and speaks SMTPUTF8 and 8BITMIME: see\n'harness help backends'; --backend attach takes the one that is up")
	f.IntVar(&o.replicas, "replicas", 1, "start `N` instances of CMD; the tap in front of them balances the load")
	f.StringArrayVar(&o.replace, "replace", nil, "replace steps, and inject faults, as `FILE` says: see harness replace; may be repeated; with sim only")
	f.StringArrayVar(&o.stubs, "stub", nil, "answer the HTTP requests that steps let sim make (step.fetch, AI inference) as `FILE` says, a JSON list\nof objects with function, step, url (with * for anything), times, status, headers, body, error; may be repeated;\nwhat no stub answers goes to the network")
	f.Uint64Var(&o.sim.Seed, "seed", 0, "what sim leaves to chance: `N` decides ids, the jitter of retries, and what comes first of what is due\nat one instant; 0 takes that as it came")
	durationFlag(f, &o.sim.CallTimeout, "call-timeout", 0, "how long sim lets the app take to answer a call; 0 is 2 h, as on the dev server")
	f.IntVar(&o.sim.Keep, "keep", 0, "how many ended runs sim keeps; 0 is 10,000")
	f.StringVar(&o.mongo, "mongo", mongoSingle, "`WHICH`: single, or replica-set, which has transactions and change streams; replica-set needs a real MongoDB:\nMONGOD_BIN, or containers with the official image")
	f.StringVar(&o.ports, "ports", portsFixed, "`WHICH`: fixed (app 3000, dashboard 8300, Inngest 8288, MailHog 8025 and 1025, MongoDB 27017) or free (any free ones)")
	f.StringArrayVar(&o.watch, "watch", nil, "start CMD anew when a source file below `DIR` changes; may be repeated")
	f.StringVar(&o.appPath, "app-path", harness.DefaultAppPath, "where CMD serves Inngest")
	durationFlag(f, &o.appWait, "app-timeout", 2*time.Minute, "how long CMD may take until it answers on PORT, builds included")
	durationFlag(f, &o.retry, "retry-interval", 0, "pause before Inngest retries a failed step, in whole seconds, as in 1 or 10s; 0 leaves it to Inngest:\n15 s and more")
	f.StringVar(&o.runHeader, "run-header", harness.DefaultRunHeader, "`HEADER` of an email that names the run that sent it")
	f.BoolVar(&o.taps, "taps", true, "record the exchanges between app, Inngest and the mail catcher, by means of proxies")
	f.BoolVar(&o.connect, "connect", false, "CMD connects to Inngest instead of serving HTTP: wait for its connection, and do not sync")
	f.BoolVar(&o.dashboard, "dashboard", true, "serve a page that shows live what happens on the stack")
	f.Var(&o.parent, "exit-with-parent", "stop everything, within two seconds, when the process that started up ends, however it ends; or the process\n`PID`, such as one that started that one; or, for stdin, when standard input is closed")
	f.Lookup("exit-with-parent").NoOptDefVal = directParent
	f.StringVar(&o.samples, "samples", "", "the page can send each .json file of `DIR`, an event: {\"name\": …, \"data\": …}")
	f.StringVar(&o.samplesTo, "samples-to", "", "the files of --samples are requests to the app instead: `WHERE` is a method and a path,\nas in \"POST /api/requests\"")
	f.BoolVar(&o.json, "json", false, "print what to open as JSON, as in .harness/stack.json")
	completeFlag(cmd, "backend", backendNames()...)
	completeFlag(cmd, "inngest", inngests()...)
	completeFlag(cmd, "mongo", mongoSingle, mongoReplicaSet)
	completeFlag(cmd, "mail", mails()...)
	must(cmd.MarkFlagDirname("watch"))
	must(cmd.MarkFlagDirname("samples"))
	return cmd
}

// The values of --ports.
const (
	portsFixed = "fixed"
	portsFree  = "free"
)

// The values of --mongo.
const (
	mongoSingle     = "single"
	mongoReplicaSet = "replica-set"
)

// mails are the values of --mail.
func mails() []string {
	var names []string
	for _, m := range harness.MailCatchers() {
		names = append(names, string(m))
	}
	return names
}

// check returns a usage error for options that contradict each other.
func (o upOptions) check(args []string) error {
	err := cmp.Or(
		oneOf(fmt.Sprintf("--ports %q", o.ports), o.ports, []string{portsFixed, portsFree}),
		oneOf(fmt.Sprintf("--mongo %q", o.mongo), o.mongo, []string{mongoSingle, mongoReplicaSet}),
		oneOf(fmt.Sprintf("--backend %q", o.backend), o.backend, backendNames()),
		oneOf(fmt.Sprintf("--inngest %q", o.inngest), o.inngest, inngests()),
		oneOf(fmt.Sprintf("--mail %q", o.mail), o.mail, mails()))
	if err != nil {
		return err
	}
	switch {
	case o.inngest != inngestAuto && o.inngest != inngestServer && o.backend == backendAttach:
		return usagef("--inngest %s starts a stack's Inngest, and --backend attach takes the one that is up: leave out one of them", o.inngest)
	case o.mail != string(harness.MailHog) && o.backend == backendAttach:
		return usagef("--mail %s starts a stack's mail catcher, and --backend attach takes the one that is up: leave out one of them", o.mail)
	case o.inngest == inngestStart && o.backend == backendContainers:
		return usagef("--inngest start runs processes of this machine, and no containers: use --backend local")
	case o.replicas < 1 || o.replicas > 1 && (len(args) == 0 || !o.taps):
		return usagef("--replicas %d: at least one instance, and several need a command, and the taps, which balance the load", o.replicas)
	case o.connect && len(args) == 0:
		return usagef("--connect needs the command that connects: put it behind --, as in: harness up --connect -- npm run worker")
	case len(o.watch) > 0 && len(args) == 0:
		return usagef("--watch needs a command to start anew: put it behind --, as in: harness up --watch src -- npm start")
	case len(o.watch) > 0 && !o.taps:
		return usagef("--watch needs the taps: they hold the app's address while the next one takes over; leave out --taps=false")
	case o.retry < 0 || o.retry%time.Second != 0:
		return usagef("--retry-interval %v: the Inngest server knows whole seconds only", o.retry)
	case o.sim.CallTimeout < 0 || o.sim.Keep < 0:
		return usagef("--call-timeout and --keep cannot be negative")
	case o.appWait <= 0:
		return usagef("--app-timeout %v: it is a time to wait, as in 90s", o.appWait)
	case o.samplesTo != "" && o.samples == "":
		return usagef("--samples-to needs --samples, the directory of what to send there")
	case o.samples != "" && !o.dashboard:
		return usagef("--samples are for the dashboard: leave out --dashboard=false")
	case o.appPath == "" || o.appPath[0] != '/':
		return usagef("--app-path %q: it begins with a slash, as in /api/inngest", o.appPath)
	}
	for _, dir := range o.watch {
		if !isDir(dir) {
			return usagef("--watch %s: there is no such directory", dir)
		}
	}
	if o.samples != "" && !isDir(o.samples) {
		return usagef("--samples %s: there is no such directory", o.samples)
	}
	return nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// wanted returns the ports to use. The error names all that are taken. It is checked first, before minutes of building.
func (o upOptions) wanted() (harness.Ports, error) {
	if o.ports == portsFree {
		return harness.Ports{}, nil
	}
	ports := harness.KnownPorts()
	wishes := []port.Wish{{Port: ports.App, For: "the app"}}
	if o.dashboard {
		wishes = append(wishes, port.Wish{Port: ports.Dashboard, For: "the dashboard"})
	}
	if o.backend != backendAttach {
		wishes = append(wishes, port.OfServers(ports, harness.MailCatcher(o.mail))...)
	}
	err := port.CheckAll(wishes...)
	if err != nil && os.Getenv("MAKELEVEL") != "" { // its user did not type this flag
		err = fmt.Errorf("%w (by way of make: PORTS=free)", err)
	}
	return ports, err
}

func up(ctx context.Context, io stdio, o upOptions, args []string) (err error) {
	dir, err := filepath.Abs(io.stackDir())
	if err != nil {
		return fmt.Errorf("find the directory of the stack: %w", err)
	}
	p := newPrinter(io)
	unlock, err := lock(ctx, dir)
	if err != nil {
		return interrupted(ctx, p, err)
	}
	defer unlock()
	ports, err := o.wanted()
	if err != nil {
		return err
	}
	runDir := filepath.Join(dir, statefile.Dir, "run")
	if err := os.RemoveAll(runDir); err != nil {
		return fmt.Errorf("remove the logs of the last stack: %w", err)
	}

	began := time.Now()
	if o.inngest == inngestStart {
		o.backend = backendLocal // where it is auto
	}
	backend, err := o.chooseBackend(ctx, p)
	if err != nil {
		return interrupted(ctx, p, err)
	}
	standIn := o.inngest == inngestAuto && standsIn(ctx, backend)
	if standIn {
		o.inngest = inngestSim
		p.say("inngest", "sim stands in for the dev server, which is then built in the background; --inngest server waits for it")
	}
	backend = withInngest(backend, o.inngest, o.sim)
	var needed []harness.Service
	if o.backend == backendAttach && len(args) == 0 && os.Getenv(attach.EnvInngest) != "" && os.Getenv(attach.EnvMongo) == "" {
		needed, o.taps = inngestAndMail, false // no app can run without a database: they are watched
	}
	st, err := stack.Start(ctx, backend, stack.Options{
		Ports: ports, Dir: runDir, AppPath: o.appPath, RetryInterval: o.retry, RunHeader: o.runHeader,
		WithoutTaps: !o.taps, Services: needed, Connect: o.connect, Progress: p.progress, Production: o.inngest == inngestStart, Replicas: o.replicas,
		ReplicaSet:  o.mongo == mongoReplicaSet,
		MailCatcher: harness.MailCatcher(o.mail),
	})
	if err != nil {
		return interrupted(ctx, p, err)
	}
	defer log.SetOutput(log.Writer())
	log.SetOutput(logWriter{p, st.Redactor()})
	s := &session{stack: st, dir: dir, options: o, command: args, printer: p, out: io.out, began: began, standIn: standIn}
	defer func() { err = errors.Join(err, s.stop(ctx)) }()
	if !o.dashboard {
		ports.Dashboard = 0 // the API alone takes any
	}
	if s.front, err = openFront(st, ports.Dashboard, o, s.state); err != nil {
		return err
	}
	return interrupted(ctx, p, s.run(ctx))
}

// lockTimeout is how long another `harness up` in the same directory may take to release its lock.
const lockTimeout = 500 * time.Millisecond

// lock makes this process the only one with a stack in dir, until unlock or the end of the process.
func lock(ctx context.Context, dir string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Join(dir, statefile.Dir), 0o755); err != nil {
		return nil, fmt.Errorf("make a directory for the stack's state: %w", err)
	}
	waiting, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	l := flock.New(lockFile(dir))
	locked, err := l.TryLockContext(waiting, pollInterval)
	switch {
	case locked:
		return func() { _ = l.Close() }, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && waiting.Err() == nil:
		return nil, fmt.Errorf("lock %s for this stack: %w", dir, err)
	}
	if s, _, err := statefile.Find(dir); err == nil {
		return nil, fmt.Errorf("a stack is up here already (process %d): stop it with `harness down`, or use it: `harness status`", s.PID)
	}
	return nil, errors.New("another `harness up` is starting or stopping in this directory: wait for it, or interrupt it")
}

func lockFile(dir string) string { return filepath.Join(dir, statefile.Dir, "lock") }

// locked reports whether a `harness up` keeps a stack up in dir, or is starting or stopping one.
func locked(dir string) bool {
	if _, err := os.Stat(lockFile(dir)); err != nil {
		return false
	}
	l := flock.New(lockFile(dir))
	defer l.Close()
	free, err := l.TryLock()
	return err == nil && !free
}

// interrupted returns nil for an error that comes from the user's interrupt, or from the end of the process that up follows.
func interrupted(ctx context.Context, p *printer, err error) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errOrphaned):
		p.say("up", "%v", cause)
	case err == nil || cause == nil:
		return err
	default:
		p.say("up", "cancelled")
	}
	return nil
}
