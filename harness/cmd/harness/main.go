// Command harness runs an app that serves Inngest functions against real servers: MongoDB, MailHog and the Inngest
// dev server.
//
//	harness up -- npm run dev     start the servers and the app, sync it, say what to open
//	harness status                what is up, from another terminal
//	eval "$(harness env)"         the addresses as shell variables
//	harness expect --send event.json expectation.json
//	                              send an event and judge what follows from it
//	harness explore --send event.json expectation.json -- npm start
//	                              let every fault happen, and judge after each
//	harness down                  stop it
//
// `harness --help` lists the rest. The app is any program that listens on the port in PORT.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

func main() {
	configureTestcontainers()
	signals := make(chan os.Signal, 2)
	// A terminal that is closed sends SIGHUP.
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() {
		<-signals
		cancel(errors.New("interrupted"))
		// The first signal ends everything gracefully. A second one ends this process at once, as does a graceful end that
		// takes too long, whatever hangs; the watchdogs of app and servers then kill them.
		select {
		case <-signals:
		case <-time.After(graceOf(os.Args[1:])):
		}
		os.Exit(exitKilled)
	}()
	os.Exit(run(ctx, os.Args[1:], stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv}))
}

// graceOf returns how long a command may take to end after a signal. Only some have started what must be stopped.
func graceOf(args []string) time.Duration {
	if len(args) > 0 && slices.Contains([]string{"up", "explore", "tools"}, args[0]) {
		return stopTimeout + killTime
	}
	return time.Second
}

// killTime is how long killed programs may take to end.
const killTime = 5 * time.Second
