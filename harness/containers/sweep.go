package containers

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/moby/moby/client"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/containers/internal/engine"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
)

// The labels of containers name the stack and the process that they belong to.
const (
	labelStack   = "inngest-harness.stack"
	labelService = "inngest-harness.service"
	labelPID     = "inngest-harness.owner.pid"
	labelStarted = "inngest-harness.owner.started"
	labelMachine = "inngest-harness.owner.machine" // several may use one engine, each with its own process ids
	labelBoot    = "inngest-harness.owner.boot"
)

// labels returns the labels of one of the stack's containers.
func (s *stack) labels(service harness.Service) map[string]string {
	o := thisProcess()
	return map[string]string{
		labelStack: s.id, labelService: string(service), labelPID: strconv.Itoa(o.pid), labelStarted: o.started.Format(time.RFC3339Nano),
		labelMachine: o.machine, labelBoot: o.boot,
	}
}

func filters(label, value string) client.Filters {
	return make(client.Filters).Add("label", label+"="+value)
}

// owner is the process that a container belongs to.
type owner struct {
	pid     int
	started time.Time
	machine string
	boot    string // empty where the system has no id for it
}

// thisProcess returns this process as an owner. If the system does not provide its start time, nothing is considered dead.
func thisProcess() owner {
	o := owner{pid: os.Getpid(), boot: bootID()}
	o.started, _ = proc.StartTime(o.pid)
	host, _ := os.Hostname()
	o.machine = host + pidNamespace()
	return o
}

func ownerOf(labels map[string]string) (owner, bool) {
	pid, err := strconv.Atoi(labels[labelPID])
	if err != nil {
		return owner{}, false
	}
	started, err := time.Parse(time.RFC3339Nano, labels[labelStarted])
	if err != nil || started.IsZero() {
		return owner{}, false
	}
	return owner{pid, started, labels[labelMachine], labels[labelBoot]}, true
}

// dead reports whether the owner is known to have ended. Nothing is known about the processes of another machine, nor, while the
// container runs, about those of another boot, since two machines can have the same name.
func (o owner) dead(me owner, running bool) bool {
	if o.machine != me.machine {
		return false
	}
	if o.boot != me.boot {
		return !running
	}
	started, err := proc.StartTime(o.pid)
	return err != nil || started.Sub(o.started).Abs() > 2*time.Second
}

// sweep removes what killed processes left behind. It only reports what it cannot remove, which does not prevent a start: its
// names are unique, and a port that it holds is reported by the start that needs it.
func sweep(ctx context.Context, docker *client.Client, progress func(harness.Progress)) error {
	ours := make(client.Filters).Add("label", labelStack)
	me := thisProcess()
	found, err := docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ours})
	if err != nil {
		return fmt.Errorf("look for containers that killed stacks left behind: %w", engine.Explain(err))
	}
	var leftovers []string
	for _, c := range found.Items {
		o, ok := ownerOf(c.Labels)
		if ok && o.dead(me, c.State == "running" || c.State == "paused") {
			leftovers = append(leftovers, c.ID)
		}
	}
	if err := removeContainers(ctx, docker, leftovers); err != nil {
		progress(harness.Progress{Subject: "docker", Doing: fmt.Sprintf("goes on, though a killed stack left something behind: %v", err), Done: true})
	}
	return nil
}
