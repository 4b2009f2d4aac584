//go:build unix

package main

import (
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/odoo-maintenance/inngest-harness/harness/containers"
)

// TestMain makes the commands of the scripts: the real main, and an app for it to run.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"harness":    main,
		"inngestapp": inngestApp,
		"onterminal": onTerminal,
	})
}

// TestScript runs testdata/script. `go test -run TestScript/watch` runs one of them.
func TestScript(t *testing.T) { runScripts(t, "testdata/script") }

func runScripts(t *testing.T, dir string) {
	cache := cacheDir(t)
	harness, err := exec.LookPath("harness") // testscript.Main has put it there
	if err != nil {
		t.Fatal(err)
	}
	docs, err := filepath.Abs("../../../docs")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HARNESS_CACHE", cache)
			env.Setenv("HARNESS", harness)
			env.Setenv("DOCS", docs)
			env.Setenv(withoutPage, withoutPageValue)
			// Programs with the race detector linger for a second at their end.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			// What a developer has set must not reach the scripts' apps.
			for _, key := range []string{"NO_COLOR", "INNGEST_DEV", "INNGEST_BIN", "MAILHOG_BIN", "MONGOD_BIN"} {
				env.Setenv(key, "")
			}
			for _, key := range []string{"DOCKER_HOST", containers.EnvImageMongo, containers.EnvImageMailHog, containers.EnvImageInngest,
				"TESTCONTAINERS_HOST_OVERRIDE", "TESTCONTAINERS_RYUK_DISABLED"} {
				if value, set := os.LookupEnv(key); set {
					env.Setenv(key, value)
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await":   await,
			"nothing": nothingLeft,
			"hold":    hold,
			"lock":    lockBuild,
			"unlock":  unlockBuild,
			"slay":    slay,
			"capture": capture,
		},
	})
}

// cacheDir is where the servers are built: the scripts have no home of their own to find it in.
func cacheDir(t *testing.T) string {
	if dir := os.Getenv("HARNESS_CACHE"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "inngest-harness")
}

// patience bounds every wait of the scripts. It is for machines under load: what is awaited comes in a moment.
const patience = 30 * time.Second

// await waits until a file has a line that matches: `await FILE PATTERN`. Programs in the background write such files.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await FILE PATTERN")
	}
	file, pattern := ts.MkAbs(args[0]), regexp.MustCompile("(?m)"+args[1])
	var text []byte
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !pattern.Match(text) {
		select {
		case <-tick.C:
			text, _ = os.ReadFile(file) // it may not be there yet
		case <-deadline:
			ts.Fatalf("%s has nothing like %q after %v; it holds:\n%s", args[0], args[1], patience, text)
		}
	}
}

// nothingLeft waits until no process is there that a stack of this script started: `nothing left`. A killed process
// takes a moment to go; one that stays is a defect.
func nothingLeft(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || args[0] != "left" {
		ts.Fatalf("usage: nothing left")
	}
	var left []process
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if left = startedBelow(ts.Getenv("WORK")); len(left) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("still there: %v", left)
		}
	}
}

// hold sees to it that a port is taken for the rest of the script, by this test or by another program: `hold PORT`.
func hold(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hold PORT")
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", args[0]))
	if errors.Is(err, syscall.EADDRINUSE) {
		return
	}
	ts.Check(err)
	ts.Defer(func() { l.Close() })
}

// lockBuild makes this test seem to be building in $HARNESS_CACHE what the real cache has as DIR: `lock DIR`, until `unlock`.
func lockBuild(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: lock DIR")
	}
	l := flock.New(filepath.Join(ts.Getenv("HARNESS_CACHE"), filepath.Base(args[0])+".lock"))
	ts.Check(l.Lock())
	ts.Defer(func() { _ = l.Close() })
	builds.Store(ts.Getenv("WORK"), l)
}

// unlockBuild ends what lockBuild began.
func unlockBuild(ts *testscript.TestScript, neg bool, args []string) {
	l, locked := builds.LoadAndDelete(ts.Getenv("WORK"))
	if neg || len(args) != 0 || !locked {
		ts.Fatalf("usage: unlock, after lock DIR")
	}
	ts.Check(l.(*flock.Flock).Close())
}

// builds are the locks that scripts hold, by their $WORK.
var builds sync.Map

// slay kills a program that a stack of this script started, by its name: `slay inngest`.
func slay(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: slay NAME")
	}
	found := false
	for _, p := range startedBelow(ts.Getenv("WORK")) {
		if filepath.Base(p.program) == args[0] {
			ts.Check(syscall.Kill(p.pid, syscall.SIGKILL))
			found = true
		}
	}
	if !found {
		ts.Fatalf("no program %s was started below $WORK: %v", args[0], startedBelow(ts.Getenv("WORK")))
	}
}

// process is one that is running.
type process struct {
	pid     int
	program string // what it was started as
}

func (p process) String() string { return fmt.Sprintf("%s (%d)", p.program, p.pid) }

// capture puts what a pattern's group matches in a file, or in stdout or stderr, into a variable: `capture VAR FILE PATTERN`.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: capture VAR FILE PATTERN")
	}
	m := regexp.MustCompile("(?m)" + args[2]).FindStringSubmatch(ts.ReadFile(args[1]))
	if len(m) != 2 {
		ts.Fatalf("%s has nothing like %q:\n%s", args[1], args[2], ts.ReadFile(args[1]))
	}
	ts.Setenv(args[0], m[1])
}

// onTerminal is the main of a program that runs another with its output, too, on the terminal that it controls.
func onTerminal() {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		log.Fatal(err)
	}
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	if err := cmd.Run(); err != nil {
		log.Fatal(err)
	}
}
