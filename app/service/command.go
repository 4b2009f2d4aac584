package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/config"
	"github.com/odoo-maintenance/inngest-harness/app/mongostore"
)

// usage is printed before the table of variables.
const usage = `The maintenance notification service.

  app                          serve until SIGINT or SIGTERM
  app sync                     register the functions with Inngest, once for each deploy that changes them; the app
                               need not be running
  app seed FILE.json [--force] load users and equipment; a database that is not on this machine needs --force
  app healthcheck              exit 0 if the app on this machine's PORT is ready (for containers)
  app help                     show this

The environment configures it; with INNGEST_DEV set, .env in the working directory is read too:

`

// Exit codes of Command.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// Command runs the command line args (without the program's name) until it is done or ctx ends, and returns the exit
// code. Serving writes its log to stderr.
func Command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var err error
	switch {
	case len(args) == 0:
		err = serve(ctx, stderr)
	case args[0] == "sync" && len(args) == 1:
		err = register(ctx, stdout)
	case args[0] == "seed":
		err = seed(ctx, args[1:], stdout)
	case args[0] == "healthcheck" && len(args) == 1:
		err = healthcheck(ctx)
	case slices.Contains([]string{"help", "-h", "-help", "--help"}, args[0]):
		fmt.Fprint(stdout, usage, config.Usage())
	default:
		err = usageError(fmt.Sprintf("unknown command %q", args[0]))
	}
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, "app:", err)
	if _, wrong := errors.AsType[usageError](err); wrong {
		fmt.Fprintln(stderr, `Type "app help" to see what there is.`)
		return exitUsage
	}
	return exitError
}

type usageError string

func (e usageError) Error() string { return string(e) }

func serve(ctx context.Context, log io.Writer) error {
	c, err := config.Load()
	if err != nil {
		return err
	}
	logger := newLogger(c, log)
	listener, err := Listen(ctx, c)
	if err != nil {
		return err
	}
	s, err := New(ctx, c, Deps{Logger: logger})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	mode := "production"
	if c.Dev() {
		mode = "development"
	}
	// The URL and the address may differ, for example behind a proxy.
	logger.Info("serving", "url", c.AppURL.String(), "listening", listener.Addr().String(), "mode", mode, "inngest", c.EventURL)
	return s.Run(ctx, listener)
}

func newLogger(c config.Config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.Dev() {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

func seed(ctx context.Context, args []string, stdout io.Writer) (err error) {
	force := slices.Contains(args, "--force")
	files := slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return arg == "--force" })
	if len(files) != 1 {
		return usageError("seed takes one file: app seed FILE.json [--force]")
	}
	w, err := readWorld(ctx, files[0])
	if err != nil {
		return err
	}
	c, err := config.Load("MONGODB_URI")
	if err != nil {
		return err
	}
	where, err := mongostore.Parse(c.MongoDBURI)
	if err != nil {
		return err
	}
	if !where.Loopback && !force {
		return fmt.Errorf("database %s at %s is not on this machine: seeding would overwrite users and equipment there; "+
			"if that is what you want, add --force", where.Database, where.Hosts)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	store, err := mongostore.Open(ctx, c.MongoDBURI)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close(ctx)) }()
	if err := store.PutWorld(ctx, w); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "loaded %d users and %d pieces of equipment into database %s at %s\n",
		len(w.Users), len(w.Equipment), where.Database, where.Hosts)
	return err
}

// maxWorld bounds the file of a world: a device has no end.
const maxWorld = 64 << 20

// readWorld reads and validates a world, until ctx ends: a pipe may be silent for ever.
func readWorld(ctx context.Context, file string) (app.World, error) {
	type result struct {
		world app.World
		err   error
	}
	done := make(chan result, 1)
	go func() {
		w, err := decodeWorld(file)
		done <- result{w, err}
	}()
	select {
	case r := <-done:
		return r.world, r.err
	case <-ctx.Done():
		return app.World{}, fmt.Errorf("read %s: %w", file, context.Cause(ctx))
	}
}

func decodeWorld(file string) (app.World, error) {
	f, err := os.Open(file)
	if err != nil {
		return app.World{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxWorld))
	if err != nil {
		return app.World{}, err
	}
	decoder := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff")))) // Windows writes a byte order mark
	decoder.DisallowUnknownFields()
	var w app.World
	if err := decoder.Decode(&w); err != nil {
		return app.World{}, fmt.Errorf("%s is not a world of users and equipment: %w", file, err)
	}
	if err := w.Validate(); err != nil {
		return app.World{}, fmt.Errorf("%s: %w", file, err)
	}
	return w, nil
}

func healthcheck(ctx context.Context) error {
	c, err := config.Load("HOST", "PORT")
	if err != nil {
		return err
	}
	host := c.Host
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, strconv.Itoa(c.Port))+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", resp.Status)
	}
	return nil
}
