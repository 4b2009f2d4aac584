// Package proc runs a program as a supervised child: started in a process group of its own, awaited until it is
// ready, stopped as a group, with the end of its output at hand when it fails.
//
//	p, err := proc.Start(ctx, proc.Spec{Name: "mailhog", Path: bin, LogFile: "mailhog.log"})
//	if err != nil { … }
//	defer p.Stop(context.Background(), time.Second)
//	if err := p.WaitReady(ctx, answers); err != nil { … } // "mailhog exited with status 1 after 80ms; its last lines: …"
//
// No process is left behind, whichever way the child or the caller ends. What makes sure of that:
//
//   - Signals go to the child's process group, which its own children share.
//   - A watchdog, a shell that does nothing but read a pipe from us, kills the group when the pipe ends: also when
//     the calling process is killed and has no chance to clean up. (Linux's parent-death signal would not do: it
//     reaches direct children only, and is bound to the thread that started them.)
//   - Descendants that made themselves a new group or session are found, on Linux, by a mark in their environment.
//     One that clears its environment as well gets away.
//
// On Windows there are no groups and no watchdog: a stop ends the tree that taskkill knows of.
package proc
