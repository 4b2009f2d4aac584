// Command harness runs an app that serves Inngest functions against real servers: MongoDB, MailHog and the Inngest
// dev server.
//
//	harness up -- npm run dev     start the servers and the app, sync it, say what to open
//	harness status                what is up, from another terminal
//	eval "$(harness env)"         the addresses as shell variables
//	harness expect --send event.json expectation.json
//	                              send an event and judge what follows from it
//	harness down                  stop it
//
// `harness --help` lists the rest. The app is any program that listens on the port in PORT.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	tclog "github.com/testcontainers/testcontainers-go/log"
)

func main() {
	configureTestcontainers()
	signals := make(chan os.Signal, 2)
	// A terminal that is closed sends SIGHUP.
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-signals
		cancel()
		// The first signal ends everything gracefully. A second one ends this process at once; the watchdogs of app and
		// servers then kill them.
		<-signals
		os.Exit(exitKilled)
	}()
	os.Exit(run(ctx, os.Args[1:], stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv}))
}

// configureTestcontainers makes testcontainers, which reads its settings from the environment, suit a program for people. Its
// reaper, a container whose image it would pull first, is not needed: the harness removes its containers itself. Its default
// logger would print into the progress.
func configureTestcontainers() {
	const reaperOff = "TESTCONTAINERS_RYUK_DISABLED"
	if os.Getenv(reaperOff) == "" {
		os.Setenv(reaperOff, "true")
	}
	tclog.SetDefault(tclog.NewNoopLogger())
}
