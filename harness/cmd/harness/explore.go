package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/explore"
	"github.com/odoo-maintenance/inngest-harness/harness/golden"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/statefile"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

type exploreOptions struct {
	explore.Options
	send      []string // files
	inngest   string
	check     string
	setup     string
	services  []string
	golden    string
	appPath   string
	runHeader string
	appWait   time.Duration
	replay    string // file
	times     int
	out       string
	json      bool
	again     string // the flags with which a replay runs as this exploration
}

func exploreCommand(io stdio) *cobra.Command {
	var o exploreOptions
	cmd := &cobra.Command{
		Use:        "explore [flags] --send EVENT.json EXPECTATION.json -- CMD ARG…",
		SuggestFor: []string{"fuzz", "chaos", "faults", "inject"},
		Short:      "let every fault happen at every hop of a function, and judge what follows",
		Long: `explore starts CMD on a stack of its own, whose Inngest is sim, so that no retry takes time. It sends the
event once without a fault, and sees the hops of the run: calls, steps, events sent, the stages of each SMTP
session. Then it lets every fault happen that can happen at each hop, one schedule at a time, each with CMD
started anew, and judges the same expectation after each. Schedules of two faults follow, those first that
begin in a state which none before has reached.

What faults allow: each copy of an email carries the same Message-ID, and there is one only where the
acceptance of the email before could not be recorded; a run fails only where a fault is permanent, or left
it no attempt. Numbers of attempts in the expectation are not compared.

For each kind of violation it prints the shortest schedule that shows it, with the verdict, and writes a file
with which --replay runs it again. With several --send, the second event comes when nothing is left to do at
that instant after the first one, and in other schedules earlier: before it, or at any of its hops.`,
		Example: `  harness explore --send event.json expectation.json -- npm start
  harness explore --send placed.json --send cancelled.json expectation.json -- ./app
  harness explore --check ./check.mjs --send event.json expectation.json -- node app.mjs
  harness explore --replay .harness/explore/1.json --times 20`,
		Annotations: map[string]string{
			"Exit status": "0  no violation\n1  violations were found\n2  it does not hold without a fault, or it could not be explored to the end, or the question was wrong",
			"Environment of cmd": `as under 'harness up', and
MONGODB_URI        with the name of a database that is empty when a schedule begins; --setup can fill it
HARNESS_SCRATCH    a directory that is empty when a schedule begins and outlives CMD's death: a place for a
                   database that is a file`,
		},
		Args: func(cmd *cobra.Command, args []string) error {
			if files, _ := atDash(cmd, args); len(files) > 1 || len(files) == 0 && o.replay == "" {
				return usagef("`harness explore` needs one file with an expectation, and the app's command behind --, as in: harness explore --send event.json expectation.json -- npm start")
			} else if len(files) == 1 && o.replay != "" {
				return usagef("--replay takes events and expectation from its file: leave out %s", files[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			files, command := atDash(cmd, args)
			err := o.validate(cmd.Flags(), files)
			if err == nil {
				o.again = againWith(cmd.Flags())
				err = o.run(cmd.Context(), io, files, command)
			}
			if err != nil && !errors.As(err, new(exitError)) {
				return exitError{exitCannotBeJudged, err}
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.send, "send", nil, "send the event in this `FILE`; may be repeated")
	f.IntVar(&o.Depth, "depth", 2, "the most faults in one schedule: `N`")
	f.IntVar(&o.Schedules, "schedules", 200, "run at most `N` schedules of two faults and more; those of one are all run")
	durationFlag(f, &o.Budget, "budget", 0, "begin no schedule of two faults and more after this time")
	f.Uint64Var(&o.Seed, "seed", 0, "`N` decides which schedules of two faults and more are run, among those that promise as much")
	f.IntVar(&o.Parallel, "parallel", 0, "run schedules on `N` stacks side by side (default: one for each processor)")
	durationFlag(f, &o.Timeout, "timeout", time.Minute, "how long one schedule may take")
	f.StringVar(&o.inngest, "inngest", inngestSim, "`WHICH`: sim, or server, the dev server, whose retries take a second each")
	f.StringVar((*string)(&o.AllowCopies), "allow-copies", string(explore.CopiesUnrecorded), "`WHEN` an email may arrive again: none, unrecorded (where the acceptance of the one before could not be\nrecorded), or any, also with another Message-ID")
	f.StringVar((*string)(&o.AllowFailed), "allow-failed", string(explore.FailedPermanent), "`WHEN` a run may fail: never, permanent (after a permanent fault, or as many faults as it has attempts), any")
	f.StringVar(&o.check, "check", "", "run this `COMMAND` of the shell after each schedule, in CMD's environment: exit status 1 says that\nthe app's own rules are violated, and its output why")
	f.StringVar(&o.setup, "setup", "", "run this `COMMAND` of the shell before each schedule, when CMD is up, in CMD's environment")
	f.StringSliceVar(&o.services, "services", nil, "let these `SERVICES` be killed and started again, too: mailhog, mongo, inngest (with its state lost)")
	durationFlag(f, &o.RetryPause, "retry-pause", 0, "how long each retry waits, by the wall clock; an app whose leases expire by its own clock needs it")
	f.StringVar(&o.golden, "golden", "", "`DIR` with the golden emails that the expectation names")
	f.StringVar(&o.appPath, "app-path", harness.DefaultAppPath, "where CMD serves Inngest")
	f.StringVar(&o.runHeader, "run-header", harness.DefaultRunHeader, "`HEADER` of an email that names the run that sent it")
	durationFlag(f, &o.appWait, "app-timeout", 2*time.Minute, "how long CMD may take until it answers on PORT, builds included")
	f.StringVar(&o.replay, "replay", "", "run the schedule in this `FILE` again, which explore has written; CMD is the one in it, unless given")
	f.IntVar(&o.times, "times", 1, "replay it `N` times, and say whether it leads to the same each time")
	f.StringVar(&o.out, "out", filepath.Join(statefile.Dir, "explore"), "write the files to replay, 1.json and so on, report.html and junit.xml to `DIR`")
	f.BoolVar(&o.json, "json", false, "print the result, with the trace of each finding, as JSON")
	must(cmd.MarkFlagFilename("send", "json"))
	must(cmd.MarkFlagFilename("replay", "json"))
	must(cmd.MarkFlagDirname("golden"))
	must(cmd.MarkFlagDirname("out"))
	for flag, values := range exploreValues {
		completeFlag(cmd, flag, values...)
	}
	cmd.ValidArgsFunction = completeFiles("json")
	return cmd
}

// exploreValues are the values of flags that have few.
var exploreValues = map[string][]string{
	"inngest":      {inngestSim, inngestServer},
	"allow-copies": {string(explore.CopiesNone), string(explore.CopiesUnrecorded), string(explore.CopiesAny)},
	"allow-failed": {string(explore.FailedNever), string(explore.FailedPermanent), string(explore.FailedAny)},
	"services":     {string(harness.ServiceMailHog), string(harness.ServiceMongo), string(harness.ServiceInngest)},
}

// ofReplay are the flags that count with --replay. What the others say is in its file.
var ofReplay = []string{"replay", "times", "timeout", "inngest", "golden", "app-path", "run-header", "app-timeout", "json"}

// againWith returns the flags that say where it ran, which the file of a replay does not.
func againWith(flags *pflag.FlagSet) (again string) {
	for _, name := range []string{"inngest", "golden", "app-path", "run-header", "app-timeout", "timeout"} {
		if f := flags.Lookup(name); f.Changed {
			again += fmt.Sprintf(" --%s %s", name, f.Value)
		}
	}
	return again
}

// atDash divides arguments into those before -- and those behind it.
func atDash(cmd *cobra.Command, args []string) (before, behind []string) {
	n := cmd.ArgsLenAtDash()
	if n < 0 {
		n = len(args)
	}
	return args[:n], args[n:]
}

// validate returns an error for flags that are wrong or of no use.
func (o *exploreOptions) validate(flags *pflag.FlagSet, files []string) error {
	for _, flag := range slices.Sorted(maps.Keys(exploreValues)) {
		given := []string{flags.Lookup(flag).Value.String()}
		if flag == "services" {
			given = o.services
		}
		for _, value := range given {
			if err := oneOf(fmt.Sprintf("--%s %q", flag, value), value, exploreValues[flag]); err != nil {
				return err
			}
		}
	}
	var wrong error
	flags.Visit(func(f *pflag.Flag) {
		switch {
		case o.replay != "" && !slices.Contains(ofReplay, f.Name):
			wrong = usagef("--%s has no effect with --replay, whose file says it: leave it out", f.Name)
		case o.replay == "" && f.Name == "times":
			wrong = usagef("--times is for --replay: leave it out")
		}
	})
	switch {
	case wrong != nil:
		return wrong
	case o.Depth < 1 || o.Schedules < 1 || o.times < 1:
		return usagef("--depth, --schedules and --times are 1 at least; without schedules of two faults and more: --depth 1")
	case o.Parallel < 0 || o.Budget < 0 || o.RetryPause < 0:
		return usagef("--parallel, --budget and --retry-pause cannot be negative")
	case o.Timeout <= 0:
		return usagef("--timeout %v: it is a time to wait, as in 1m", o.Timeout)
	case o.appWait <= 0:
		return usagef("--app-timeout %v: it is a time to wait, as in 90s", o.appWait)
	case !strings.HasPrefix(o.appPath, "/"):
		return usagef("--app-path %q: it begins with a slash, as in /api/inngest", o.appPath)
	}
	ofStdin := slices.DeleteFunc(slices.Concat(o.send, files), func(f string) bool { return f != stdinName })
	if len(ofStdin) > 1 {
		return usagef("only one of events and expectation can be standard input")
	}
	return nil
}

// inShell returns the arguments that run a command in the system's shell; none for an empty one.
func inShell(command string) []string {
	switch {
	case command == "":
		return nil
	case runtime.GOOS == "windows":
		return []string{"cmd", "/C", command}
	default:
		return []string{"sh", "-c", command}
	}
}

func (o *exploreOptions) run(ctx context.Context, io stdio, files, command []string) error {
	if o.replay != "" {
		return o.runCase(ctx, io, command)
	}
	if len(o.send) == 0 {
		return usagef("say which event begins it: --send EVENT.json")
	}
	if len(command) == 0 {
		return usagef("put the app's command behind --, as in: harness explore --send event.json expectation.json -- npm start; explore " +
			"starts a stack of its own, because most faults would break one that is in use")
	}
	data, err := readFile(ctx, io, files[0])
	if err != nil {
		return err
	}
	if o.Expect, err = harness.ParseExpectation(data); err != nil {
		return fmt.Errorf("%s: %w", named(files[0]), err)
	}
	for _, file := range o.send {
		events, err := readEvents(ctx, io, file)
		if err != nil {
			return err
		}
		o.Send = append(o.Send, events...)
	}
	if err := o.openGolden(); err != nil {
		return err
	}
	o.InvariantCommand, o.SetupCommand = inShell(o.check), inShell(o.setup)
	for _, s := range o.services {
		o.Services = append(o.Services, harness.Service(s))
	}
	p := newPrinter(io)
	target := o.target(p, command)
	o.Progress = o.progress(p)
	result, ended := explore.Explore(ctx, target, o.Options)
	p.finish()
	if ended != nil && (result == nil || len(result.Outcomes) == 0) {
		return ended
	}
	written, err := result.WriteCases(o.out, target, o.Options)
	if err != nil {
		return errors.Join(ended, err)
	}
	page, err := result.WriteReport(o.out)
	if err != nil {
		return errors.Join(ended, err)
	}
	if o.json {
		err = writeJSON(io.out, result)
	} else {
		_, err = fmt.Fprintf(io.out, "%s\n\nas a page: %s\n", io.paint(io.out).marks(safe(result.String())), page)
		for i, file := range written {
			fmt.Fprintf(io.out, "to run %d again: harness explore%s --replay %s\n", i+1, safe(o.again), file)
		}
	}
	switch {
	case ended != nil:
		return fmt.Errorf("%w; what was found until then stands above", ended)
	case err == nil && len(result.Findings) > 0:
		return exitError{exitFailed, nil}
	}
	return errors.Join(err, result.Err())
}

// openGolden makes the judge compare emails with golden ones, if a directory is given.
func (o *exploreOptions) openGolden() error {
	if o.golden == "" {
		return nil
	}
	set, err := golden.Open(o.golden, golden.Options{RunHeader: o.runHeader})
	if err != nil {
		return err
	}
	o.Judge.Golden = func(name string, m *harness.TraceMail) error { return set.Compare(name, m.Message) }
	return nil
}

// target returns where schedules run. Of a replay the app's output is shown.
func (o *exploreOptions) target(p *printer, command []string) explore.Target {
	backend := withInngest(local.New(local.Options{}), o.inngest, sim.Options{Seed: o.Seed})
	app := stack.Command{Args: command, StartTimeout: o.appWait}
	if o.replay != "" {
		app.OnLine = p.output
	}
	return explore.Program(backend, stack.Options{AppPath: o.appPath, RunHeader: o.runHeader, Progress: longer(p)}, app)
}

// longer prints the progress of what takes a second: servers are started again and again.
func longer(p *printer) func(harness.Progress) {
	return func(n harness.Progress) {
		if n.Elapsed >= time.Second {
			p.progress(n)
		}
	}
}

// progress prints how far it has come: on a terminal in one line, elsewhere now and then.
func (o *exploreOptions) progress(p *printer) func(explore.Progress) {
	var spoken time.Duration
	return func(n explore.Progress) {
		if !p.live && n.Elapsed-spoken < quietFor {
			return
		}
		spoken = n.Elapsed
		found := "no violation"
		if n.Findings > 0 {
			found = text.Count(n.Findings, "kind of violation", "kinds of violations")
		}
		p.progress(harness.Progress{Subject: "explore", Doing: fmt.Sprintf("%d of %d schedules, %s", n.Ran, n.Planned, found), Elapsed: n.Elapsed})
	}
}

// runCase replays a file.
func (o *exploreOptions) runCase(ctx context.Context, io stdio, command []string) error {
	data, err := readFile(ctx, io, o.replay)
	if err != nil {
		return err
	}
	c, err := explore.ParseCase(data)
	if err != nil {
		return fmt.Errorf("%s: %w", named(o.replay), err)
	}
	if len(command) == 0 {
		command = c.Command
	}
	if len(command) == 0 {
		return usagef("%s names no command: put the app's behind --", named(o.replay))
	}
	if err := o.openGolden(); err != nil {
		return err
	}
	p := newPrinter(io)
	target := o.target(p, command)
	done := p.waiting("explore", "replaying "+named(o.replay))
	outcome, err := explore.Replay(ctx, target, c, o.times, o.Options)
	done()
	if err != nil {
		return err
	}
	if o.json {
		if err := writeJSON(io.out, outcome); err != nil {
			return err
		}
	} else {
		says := []string{"no violation: " + cmp.Or(outcome.Why, "everything was as it should be")}
		if len(outcome.Violations) > 0 {
			says = nil
		}
		for _, v := range outcome.Violations {
			says = append(says, v.Says)
		}
		fmt.Fprintf(io.out, "%s\n  when %s\n", safe(strings.Join(says, "\n")), safe(outcome.Schedule.String()))
		if o.times > 1 {
			fmt.Fprintf(io.out, "the same %d times of %d\n", o.times, o.times)
		}
	}
	if len(outcome.Violations) > 0 {
		return exitError{exitFailed, nil}
	}
	return nil
}
