package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// idleTime is how long a stack is left alone before its memory is read.
const idleTime = 5 * time.Second

// printMemory prints how much memory the servers of an idle stack hold: their resident sets. The app runs in this process
// and is not counted.
func printMemory(ctx context.Context, b harness.Backend) (err error) {
	st, err := testenv.Start(ctx, b, stack.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close(context.WithoutCancel(ctx))) }()
	select {
	case <-time.After(idleTime):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	held, err := resident(ctx, b.Name())
	if err == nil {
		fmt.Printf("%s: memory of an idle stack's servers:\n%s", b.Name(), held)
	}
	return err
}

// resident lists the servers, children of this process or of its containers, with their resident sets in kilobytes.
func resident(ctx context.Context, backend string) (string, error) {
	// ps itself and the shells that end servers with this process are children, too.
	script := `ps -A -o ppid=,rss=,comm= | awk -v parent="$1" '$1 == parent && $3 !~ /(^|\/)(ps|sh|awk)$/ { print "  " $3, $2 " kB" }'`
	if backend == "containers" {
		script = `for id in $(docker ps --quiet --filter "label=inngest-harness.owner.pid=$1"); do
			docker top "$id" -o pid,rss,comm | awk 'NR > 1 { print "  " $3, $2 " kB" }'
		done`
	}
	out, err := exec.CommandContext(ctx, "sh", "-c", script, "sh", strconv.Itoa(os.Getpid())).Output()
	return string(out), err
}
