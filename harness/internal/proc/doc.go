// Package proc runs a program as a supervised child: started in a process group of its own, awaited until it is
// ready, stopped as a group, with the end of its output at hand when it fails.
//
//	p, err := proc.Start(ctx, proc.Spec{Name: "mailhog", Path: bin, LogFile: "mailhog.log"})
//	if err != nil { … }
//	defer p.Stop(context.Background(), time.Second)
//	if err := p.WaitReady(ctx, answers); err != nil { … } // "mailhog exited with status 1 after 80ms; its last lines: …"
//
// No process is left behind, however the child or the caller ends:
//
//   - Signals go to the child's process group, which its own children share.
//   - A watchdog, a shell that only reads a pipe from this process, kills the group when the pipe is closed: also when
//     this process is killed. (Linux's parent-death signal reaches direct children only, and is bound to the thread that
//     started them.)
//   - On Linux, descendants that left the group or the session are found by a mark in their environment. A descendant
//     that also clears its environment is not found.
//
// On Windows there are no groups: a stop ends the process tree that taskkill finds, and the watchdog is a job object.
package proc
