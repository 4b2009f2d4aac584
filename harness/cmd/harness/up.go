package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
)

// stopTimeout bounds an orderly stop.
const stopTimeout = 10 * time.Second

type upOptions struct {
	backend string
	ports   string
	watch   []string
	appPath string
	appWait time.Duration
	retry   time.Duration
	taps    bool
}

func upCommand(io stdio) *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use:   "up [flags] [-- CMD ARG…]",
		Short: "Start the stack, and the app on it",
		Long: `up starts MongoDB, MailHog and the Inngest dev server. Then it starts CMD with
PORT, MONGODB_URI, MAIL_HOST, MAIL_PORT, INNGEST_DEV, INNGEST_BASE_URL, INNGEST_EVENT_KEY and
APP_URL in its environment, and with MAIL_USER, MAIL_PASS and the signing keys empty; waits until it
answers on PORT; syncs it with Inngest; and prints what to open. CMD is any program, in any
language, that serves Inngest functions over HTTP.

Interrupt it (Ctrl-C), or run 'harness down', to stop everything in order. While it is up,
.harness/stack.json in this directory says where everything is.`,
		Example: `  harness up
  harness up -- npm run dev
  harness up --ports free --watch . -- go run ./cmd/app`,
		Args: func(cmd *cobra.Command, args []string) error {
			if n := cmd.ArgsLenAtDash(); n > 0 || (n < 0 && len(args) > 0) {
				return usagef("put the app's command behind --, as in: harness up -- %s", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return up(cmd.Context(), io, o, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.backend, "backend", "local", "where the servers run: local")
	f.StringVar(&o.ports, "ports", "fixed", "fixed: app 3000, Inngest 8288, MailHog 8025 and 1025, MongoDB 27017; free: any free ones")
	f.StringArrayVar(&o.watch, "watch", nil, "start CMD anew when a source file below this directory changes (may be repeated)")
	f.StringVar(&o.appPath, "app-path", "/api/inngest", "where CMD serves Inngest")
	f.DurationVar(&o.appWait, "app-timeout", 2*time.Minute, "how long CMD may take until it answers on PORT")
	f.DurationVar(&o.retry, "retry-interval", 0, "pause before Inngest retries a failed step, in whole seconds (0: its own, 15 s and more)")
	f.BoolVar(&o.taps, "taps", true, "record what crosses between app, Inngest and MailHog, through proxies")
	return cmd
}

func up(ctx context.Context, io stdio, o upOptions, args []string) (err error) {
	backend, ports, err := o.parse(args)
	if err != nil {
		return err
	}
	dir, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the working directory: %w", err)
	}
	if s, _, err := harness.FindState(dir); err == nil {
		return fmt.Errorf("a stack is up here already (process %d): stop it with `harness down`", s.PID)
	}
	p := newPrinter(io.err)
	runDir := filepath.Join(dir, harness.StateDir, "run")
	if err := os.RemoveAll(runDir); err != nil {
		return fmt.Errorf("clear what the last stack left: %w", err)
	}
	began := time.Now()
	stack, err := harness.Start(ctx, backend, harness.Options{
		Ports: ports, Dir: runDir, AppPath: o.appPath, RetryInterval: o.retry, WithoutTaps: !o.taps, Progress: p.progress,
	})
	if err != nil {
		return interrupted(ctx, err)
	}
	defer func() { err = errors.Join(err, stop(stack, dir, p)) }()

	if len(args) > 0 {
		if err := startApp(ctx, stack, o, args, p); err != nil {
			return interrupted(ctx, err)
		}
	}
	state := stack.State()
	if err := harness.WriteState(dir, state); err != nil {
		return err
	}
	p.line("up on the %s backend after %s; stop with Ctrl-C", stack.Backend(), elapsed(time.Since(began)))
	if err := writeTable(io.out, stateRows(state)); err != nil {
		return err
	}
	return serve(ctx, stack, o, p)
}

func (o upOptions) parse(args []string) (harness.Backend, harness.Ports, error) {
	var ports harness.Ports
	switch o.ports {
	case "fixed":
		ports = harness.KnownPorts()
	case "free":
	default:
		return nil, ports, usagef("--ports %s: it is fixed or free", o.ports)
	}
	if o.backend != "local" {
		return nil, ports, usagef("--backend %s: there is no such backend; it is local", o.backend)
	}
	if len(o.watch) > 0 && len(args) == 0 {
		return nil, ports, usagef("--watch needs a command to start anew: put it behind --")
	}
	if o.retry < 0 || o.retry%time.Second != 0 {
		return nil, ports, usagef("--retry-interval %v: the Inngest server knows whole seconds only", o.retry)
	}
	for _, dir := range o.watch {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return nil, ports, usagef("--watch %s: there is no such directory", dir)
		}
	}
	return local.New(local.Options{}), ports, nil
}

func startApp(ctx context.Context, stack *harness.Stack, o upOptions, args []string, p *printer) error {
	began := time.Now()
	p.progress(harness.Progress{Subject: "app", Doing: "starting"})
	err := stack.RunCommand(ctx, harness.Command{
		Args:         args,
		StartTimeout: o.appWait,
		OnLine:       func(line string) { p.line("app      | %s", line) },
	})
	if err != nil {
		return err
	}
	p.progress(harness.Progress{Subject: "app", Doing: "ready and synced", Elapsed: time.Since(began), Done: true})
	return nil
}

// serve keeps the stack up until it is told to stop or something dies.
func serve(ctx context.Context, stack *harness.Stack, o upOptions, p *printer) error {
	changes := make(chan string)
	if len(o.watch) > 0 {
		w, err := newWatcher(o.watch)
		if err != nil {
			return err
		}
		defer w.close()
		go w.run(ctx, changes)
		p.line("watching %d directories below %v", w.count(), o.watch)
	}
	go keepSynced(ctx, stack, p)
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-stack.Died():
			return fmt.Errorf("the stack goes down: %w", err)
		case file := <-changes:
			reload(ctx, stack, file, p)
		}
	}
}

func reload(ctx context.Context, stack *harness.Stack, file string, p *printer) {
	began := time.Now()
	p.progress(harness.Progress{Subject: "app", Doing: file + " changed, starting anew"})
	if err := stack.Reload(ctx); err != nil {
		if ctx.Err() == nil {
			p.line("app      the last good state stays up, the new one does not work: %v", err)
		}
		return
	}
	p.progress(harness.Progress{Subject: "app", Doing: "the change is up and synced", Elapsed: time.Since(began), Done: true})
}

// syncCheck is how often the server is asked whether it still knows the app. A server that somebody restarted knows
// nobody.
const syncCheck = 2 * time.Second

func keepSynced(ctx context.Context, stack *harness.Stack, p *printer) {
	tick := time.NewTicker(syncCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		again, err := stack.EnsureSynced(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			p.line("inngest  does not know the app, and syncing it again failed: %v", err)
		case again:
			p.line("inngest  had forgotten the app: synced again")
		}
	}
}

func stop(stack *harness.Stack, dir string, p *printer) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	err := errors.Join(stack.Close(ctx), harness.RemoveState(dir))
	p.line("stopped after %s", elapsed(time.Since(began)))
	return err
}

// interrupted makes a failure that comes from the user's own interrupt no failure.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func isNoStack(err error) bool { return errors.Is(err, harness.ErrNoStack) }
