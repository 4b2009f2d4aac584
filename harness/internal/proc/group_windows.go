package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

var errNoPause = errors.New("pausing a process is not supported on Windows")

// idlePriorityClass is the lowest priority, which what a process starts inherits.
const idlePriorityClass = 0x40

// ownGroup gives a child a console group, which Ctrl-C in our console does not reach, and the lowest priority if it is low.
func ownGroup(user string, low bool) (*syscall.SysProcAttr, error) {
	if user != "" {
		return nil, fmt.Errorf("run it as the user %s: not on Windows", user)
	}
	attr := &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
	if low {
		attr.CreationFlags |= idlePriorityClass
	}
	return attr, nil
}

// lowerGroup does nothing: ownGroup has set the priority.
func lowerGroup(int) {}

// interruptGroup sends Ctrl-Break, which Go programs receive as an interrupt.
func interruptGroup(pid int, _ bool) {
	generate := syscall.NewLazyDLL("kernel32.dll").NewProc("GenerateConsoleCtrlEvent")
	_, _, _ = generate.Call(syscall.CTRL_BREAK_EVENT, uintptr(pid))
}

// killGroup ends the process tree under pid, as far as the parents in between still run.
func killGroup(pid int) {
	_ = exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(pid)).Run()
}

func pauseGroup(int) error  { return errNoPause }
func resumeGroup(int) error { return errNoPause }

// groupAlive returns false: there are no groups.
func groupAlive(int) bool { return false }

// killMarked does nothing: Windows does not expose the environment of other processes.
func killMarked(string) {}

func endedBy(*os.ProcessState) string { return "" }

// A watchdog does nothing: a child outlives this process when that is killed.
type watchdog struct{}

func startWatchdog(string) (*watchdog, error) { return &watchdog{}, nil }
func (*watchdog) guard(int)                   {}
func (*watchdog) release()                    {}
