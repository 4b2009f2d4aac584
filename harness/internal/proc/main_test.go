//go:build unix

package proc_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
)

// role is the variable that makes this test binary one of the children that the tests run.
const role = "PROC_TEST_ROLE"

// familySize is how many children the role "family" has.
const familySize = 4

func TestMain(m *testing.M) {
	if play, ok := roles()[os.Getenv(role)]; ok {
		play(os.Args[1:])
		return
	}
	goleak.VerifyTestMain(m)
}

// wait never returns. To the runtime of a program without cgo, `select {}` would be a deadlock.
func wait() { time.Sleep(time.Hour) }

func roles() map[string]func(args []string) {
	return map[string]func(args []string){
		// exits with a status after printing lines
		"exit": func(args []string) {
			for _, line := range args[1:] {
				fmt.Println(line)
			}
			code, _ := strconv.Atoi(args[0])
			os.Exit(code)
		},
		// prints its environment and where it is
		"env": func([]string) {
			dir, _ := os.Getwd()
			fmt.Println("DIR=" + dir)
			fmt.Println(strings.Join(os.Environ(), "\n"))
		},
		// ends when asked to
		"obey": func([]string) {
			interrupted := interrupts()
			fmt.Println("ready")
			<-interrupted
			fmt.Println("bye")
		},
		// does not end when asked to
		"ignore": func([]string) {
			signal.Ignore(os.Interrupt, syscall.SIGTERM)
			fmt.Println("ready")
			wait()
		},
		// says how often it was interrupted, and ends at the end of its patience: a second interrupt
		"touchy": func([]string) {
			interrupted := interrupts()
			fmt.Println("ready")
			<-interrupted
			fmt.Println("interrupted once")
			<-interrupted
			fmt.Println("interrupted twice")
			os.Exit(9)
		},
		// ends at once when asked to, before the program that it wraps
		"wrapper": func([]string) {
			interrupted := interrupts()
			lifeline := start("wrapped", nil)
			<-interrupted
			runtime.KeepAlive(lifeline)
		},
		// ends gracefully only after its wrapper has ended
		"wrapped": func([]string) {
			interrupted := interrupts()
			fmt.Println("ready")
			<-interrupted
			_, _ = io.Copy(io.Discard, os.Stdin) // ends with the wrapper, which holds the other end
			fmt.Println("ended gracefully")
		},
		// ticks
		"tick": func([]string) {
			for range time.Tick(time.Millisecond) {
				fmt.Println("tick")
			}
		},
		// has children that share its environment: one in its group, one in a session of its own, one in a group of
		// its own; and one that shares its group but not its environment
		"family": func([]string) {
			start("ignore", nil)
			start("ignore", &syscall.SysProcAttr{Setsid: true})
			start("ignore", &syscall.SysProcAttr{Setpgid: true})
			startClean("ignore", nil)
			fmt.Println("family", os.Getpid())
			wait()
		},
		// ends, and leaves the family of its own behind
		"runaway": func([]string) {
			start("ignore", nil)
			start("ignore", &syscall.SysProcAttr{Setsid: true})
			os.Exit(3)
		},
		// leaves a process behind that nothing ties to it but its standard output
		"escape": func([]string) {
			startClean("ignore", &syscall.SysProcAttr{Setsid: true})
			os.Exit(4)
		},
		// has in its group a zombie
		"haunted": func([]string) {
			interrupted := interrupts()
			startClean("undertaker", &syscall.SysProcAttr{Setpgid: true}, strconv.Itoa(os.Getpid()))
			<-interrupted
		},
		"undertaker": func(args []string) {
			group, _ := strconv.Atoi(args[0])
			start("exit", &syscall.SysProcAttr{Setpgid: true, Pgid: group}, "0")
			wait()
		},
		// does nothing about signals
		"plain": func([]string) {
			fmt.Println("ready")
			wait()
		},
		// ignores interrupts, and stops a child that does so because of it
		"deaf": func([]string) {
			signal.Ignore(os.Interrupt)
			ready := make(chan string, 1)
			p, err := proc.Start(context.Background(), proc.Spec{
				Name: "plain", Path: os.Args[0], Env: []string{role + "=plain"},
				OnLine: func(line string) { ready <- line },
			})
			if err != nil {
				panic(err)
			}
			<-ready
			fmt.Println("stopped", p.Stop(context.Background(), time.Hour))
		},
		// is to be killed while it supervises a family
		"supervisor": func([]string) {
			p, err := proc.Start(context.Background(), proc.Spec{
				Name: "family", Path: os.Args[0], Env: []string{role + "=family"},
				OnLine: func(line string) { fmt.Println(line) },
			})
			if err != nil {
				panic(err)
			}
			<-p.Done()
		},
		// ends without stopping what it supervises
		"quitter": func([]string) {
			complete := make(chan struct{}, familySize)
			_, err := proc.Start(context.Background(), proc.Spec{
				Name: "family", Path: os.Args[0], Env: []string{role + "=family"},
				OnLine: func(line string) {
					fmt.Println(line)
					if line == "ready" {
						complete <- struct{}{}
					}
				},
			})
			if err != nil {
				panic(err)
			}
			for range familySize {
				<-complete
			}
			os.Exit(0)
		},
		// writes what its arguments say: a count of lines, their length
		"write": func(args []string) {
			count, _ := strconv.Atoi(args[0])
			length, _ := strconv.Atoi(args[1])
			for i := range count {
				fmt.Println(strconv.Itoa(i) + ":" + strings.Repeat("x", length))
			}
		},
	}
}

// interrupts receives them, and SIGTERM, which replaces them where the tests run in the background.
func interrupts() <-chan os.Signal {
	c := make(chan os.Signal, 2)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	return c
}

// start starts a child of a child, and prints its process id. What it returns is the other end of the child's input: as
// long as it is held, that ends with this process.
func start(play string, attr *syscall.SysProcAttr, args ...string) io.Closer {
	return startIn(os.Environ(), play, attr, args)
}

// startClean does so in an empty environment, without the mark.
func startClean(play string, attr *syscall.SysProcAttr, args ...string) {
	startIn(nil, play, attr, args)
}

func startIn(env []string, play string, attr *syscall.SysProcAttr, args []string) io.Closer {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(env, role+"="+play)
	cmd.Stdout = os.Stdout
	cmd.SysProcAttr = attr
	input, err := cmd.StdinPipe()
	if err != nil {
		panic(err)
	}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	fmt.Println("child", cmd.Process.Pid)
	return input
}
