//go:build unix

package proc

import (
	"os"
	"syscall"
)

// ownGroup puts a child in a new process group, whose id is the child's.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// interruptGroup asks all of a group to end. One that is paused is woken, or it would not hear.
func interruptGroup(pgid int, deaf bool) {
	if deaf {
		signalGroup(pgid, syscall.SIGTERM)
	} else {
		signalGroup(pgid, syscall.SIGINT)
	}
	signalGroup(pgid, syscall.SIGCONT)
}

// killGroup ends all of a group; that it has ended already is what was wanted.
func killGroup(pgid int) { signalGroup(pgid, syscall.SIGKILL) }

func pauseGroup(pgid int) error  { return signalGroup(pgid, syscall.SIGSTOP) }
func resumeGroup(pgid int) error { return signalGroup(pgid, syscall.SIGCONT) }

func signalGroup(pgid int, s syscall.Signal) error { return syscall.Kill(-pgid, s) }

func endedBy(state *os.ProcessState) string {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return status.Signal().String()
	}
	return ""
}
