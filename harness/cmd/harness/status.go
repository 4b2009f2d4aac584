package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

func statusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the stack that is up here",
		Long: `status shows the stack that a 'harness up' in this directory, or one above it, keeps up.
It exits with 1 when there is none.`,
		Example: "  harness status\n  harness status --json | jq -r .mailhog.url",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, _, err := findState()
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), s)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "up on the %s backend since %s (process %d)\n",
				s.Backend, s.Started.Local().Format(time.DateTime), s.PID)
			return writeTable(cmd.OutOrStdout(), stateRows(s))
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print it as JSON, as in .harness/stack.json")
	return cmd
}

// stateRows are what there is to open.
func stateRows(s harness.State) [][]string {
	var rows [][]string
	if s.App.URL != "" {
		rows = append(rows, []string{"app", s.App.URL, "functions at " + s.App.Path})
	}
	return append(rows,
		[]string{"mail", s.MailHog.URL, "MailHog: every email the app sends"},
		[]string{"inngest", s.Inngest.URL, "dev server"},
		[]string{"smtp", s.MailHog.SMTP, "where mail is caught"},
		[]string{"mongodb", s.Mongo.URI, ""},
	)
}

func writeTable(w io.Writer, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, r := range rows {
		fmt.Fprintf(tw, "  %s\n", strings.TrimRight(strings.Join(r, "\t"), "\t"))
	}
	return tw.Flush()
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func envCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "env",
		Short:   "Print the stack's addresses as shell exports",
		Long:    "env prints, for the stack that is up here, the variables that `harness up` gives to the app.",
		Example: "  eval \"$(harness env)\"\n  mongosh \"$MONGODB_URI\"",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, _, err := findState()
			if err != nil {
				return err
			}
			for _, v := range s.Env().Environ() {
				key, value, _ := strings.Cut(v, "=")
				fmt.Fprintf(cmd.OutOrStdout(), "export %s='%s'\n", key, strings.ReplaceAll(value, "'", `'\''`))
			}
			return nil
		},
	}
}

// downTimeout bounds the wait for a stack to go.
const downTimeout = 10 * time.Second

func downCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "down",
		Short:   "Stop the stack that is up here",
		Long:    "down asks the `harness up` that keeps the stack up to end, and waits until it has. With no stack up it does nothing and exits with 0.",
		Example: "  harness down",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, dir, err := findState()
			if isNoStack(err) {
				fmt.Fprintln(cmd.OutOrStdout(), "no stack is up here")
				return nil
			}
			if err != nil {
				return err
			}
			if err := interrupt(s.PID); err != nil {
				return fmt.Errorf("stop process %d: %w", s.PID, err)
			}
			return waitGone(cmd.Context(), cmd.OutOrStdout(), s, dir)
		},
	}
}

// waitGone waits until the stack's process has ended.
func waitGone(ctx context.Context, out io.Writer, s harness.State, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, downTimeout)
	defer cancel()
	began := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if now, _, err := harness.FindState(dir); err != nil || now.PID != s.PID {
			fmt.Fprintf(out, "the stack is down after %s\n", time.Since(began).Round(10*time.Millisecond))
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("process %d is still there after %v: end it with `kill -9 %d`", s.PID, downTimeout, s.PID)
		}
	}
}

func interrupt(pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Signal(os.Interrupt)
}
