// Command review shows the email of every fixture beside its golden. It starts a stack with the app, creates every
// request of the fixtures, judges the outcome of each, and writes a report with all the emails. Then it keeps MailHog
// running, with the emails in it, until it is interrupted.
//
//	go run ./e2e/cmd/review                  report in .harness/review, MailHog stays up
//	go run ./e2e/cmd/review -once -dir DIR   write the report and end
//
// It exits with status 1 where a request did not end as its fixture says. An email that differs from its golden is not
// an error: the report shows the difference.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/odoo-maintenance/inngest-harness/e2e/internal/command"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/review"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

func main() {
	var o options
	flag.StringVar(&o.dir, "dir", filepath.Join(".harness", "review"), "the directory of the report")
	flag.StringVar(&o.golden, "golden", "", "the directory of the goldens to compare with (default: those of the fixtures)")
	flag.BoolVar(&o.once, "once", false, "end when the report is written")
	flag.Parse()
	command.Main("review", func(ctx context.Context) error { return run(ctx, os.Stdout, o) })
}

type options struct {
	dir, golden string
	once        bool
}

func run(ctx context.Context, out io.Writer, o options) (err error) {
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return err
	}
	if _, err := report.Clear(dir); err != nil {
		return err
	}
	st, err := testenv.Start(ctx, local.New(local.Options{}), stack.Options{Progress: func(p harness.Progress) {
		fmt.Fprintf(out, "  %s %s\n", p.Subject, p.Doing)
	}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close(context.WithoutCancel(ctx))) }()
	rep, wrong := review.Write(ctx, out, st, dir, o.golden)
	if rep == nil {
		return wrong
	}
	fmt.Fprintf(out, "\n%s\n  report   %s\n  MailHog  %s\n", rep.Headline(), filepath.Join(dir, report.PageFile), st.Endpoints().MailHog)
	if o.once {
		return wrong
	}
	fmt.Fprintln(out, "\nThe emails stay in MailHog until you press Ctrl-C.")
	select {
	case <-ctx.Done():
		return wrong
	case <-st.Done():
		return errors.Join(wrong, st.Err())
	case <-st.App().Done():
		return errors.Join(wrong, st.App().Err())
	}
}
