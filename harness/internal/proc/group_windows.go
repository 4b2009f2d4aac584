package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
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

// A watchdog is a job object: the system ends the child, and what it started, when the last handle to it is closed, which it
// is when this process ends.
type watchdog struct{ job windows.Handle }

func startWatchdog(string) (*watchdog, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return nil, fmt.Errorf("make its job object: %w", err)
	}
	var limits windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	limits.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set up its job object: %w", err), windows.CloseHandle(job))
	}
	return &watchdog{job}, nil
}

// guard puts the child into the job. A child that cannot be put there is not guarded.
func (w *watchdog) guard(pid int) {
	h, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(pid))
	if err != nil {
		return // it has ended
	}
	defer windows.CloseHandle(h)
	_ = windows.AssignProcessToJobObject(w.job, h)
}

// release ends what is left of the job.
func (w *watchdog) release() { _ = windows.CloseHandle(w.job) }
