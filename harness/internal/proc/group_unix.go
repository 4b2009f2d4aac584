//go:build unix

package proc

import (
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// ownGroup puts a child in a new process group, whose id is the child's, and runs it as a user, unless that is empty. See
// lowerGroup for its priority.
func ownGroup(name string, _ bool) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if name == "" {
		return attr, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, err
}

// lowerGroup gives all processes of a group the lowest priority, which those that they start inherit. It ignores the error of a
// group that has ended.
func lowerGroup(pgid int) { _ = syscall.Setpriority(syscall.PRIO_PGRP, pgid, 19) }

// interruptGroup asks all processes of a group to end: with SIGTERM where they ignore interrupts. It wakes paused ones, which
// would not receive the signal.
func interruptGroup(pgid int, ignoresInterrupt bool) {
	if ignoresInterrupt {
		signalGroup(pgid, syscall.SIGTERM)
	} else {
		signalGroup(pgid, syscall.SIGINT)
	}
	signalGroup(pgid, syscall.SIGCONT)
}

// killGroup kills all processes of a group. It ignores the error of a group that has ended.
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
