package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/poll"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/statefile"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

func statusCommand(io stdio) *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use:        "status",
		SuggestFor: []string{"ps", "ls", "info"},
		Short:      "show the stack that is up here",
		Long: `status shows the stack that a 'harness up' in this directory, or one above it, keeps up, or the one that
--stack names. With --wait it waits for one to be up, as a script wants to that has started it in the
background.`,
		Example: `  harness status
  harness status --json | jq -r .mailhog.url
  harness up --ports free -- ./app & harness status --wait 1m`,
		Annotations: exitStatus("0  a stack is up\n1  none is up, or the file it left behind is stale"),
		Args:        noArgs,
	}
	asJSON := jsonFlag(cmd, "print it as JSON, as in .harness/stack.json")
	durationFlag(cmd.Flags(), &wait, "wait", 0, "how long to wait for a stack to be up")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if wait < 0 {
			return usagef("--wait %v: it is a time to wait, as in 1m", wait)
		}
		done := newPrinter(io).waiting("status", "waiting for a stack to be up here")
		s, err := awaitState(cmd.Context(), io, wait)
		done()
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(io.out, s)
		}
		fmt.Fprintf(io.out, "up on the %s backend since %s (process %d)\n", s.Backend, s.Started.Local().Format(time.DateTime), s.PID)
		return writeTable(io.out, stateRows(s, nil))
	}
	return cmd
}

// pollInterval is how often to read a file, a process or an API that gives no notice of a change.
const pollInterval = 20 * time.Millisecond

// awaitState returns the stack that is up here. It waits for one for up to a time.
func awaitState(ctx context.Context, io stdio, wait time.Duration) (s statefile.State, err error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	expired := poll.Until(ctx, pollInterval, func(context.Context) error {
		if s, err = io.findState(); isNoStack(err) && wait > 0 {
			return err
		}
		return nil // found, or an error that waiting does not change
	})
	if expired != nil {
		err = fmt.Errorf("%w (waited %v)", err, wait)
	}
	return s, err
}

// standInKind is what stands in the place of a dev server that is not built yet.
const standInKind = "sim, which stands in for the dev server until the first start after that is built"

// noteStandIn says beside a verdict that it is not about the dev server, if sim stands in for it.
func noteStandIn(io stdio, c client) {
	if c.standIn {
		newPrinter(io).say("inngest", "%s", standInKind)
	}
}

// stateRows lists what to open. infos, where they are known, describe the servers.
func stateRows(s statefile.State, infos []harness.ServerInfo) [][]string {
	kind := "dev server"
	if s.Inngest.SigningKey != "" {
		kind = "self-hosted server, on Redis and PostgreSQL"
	}
	about := map[harness.Service]string{harness.ServiceInngest: kind}
	if strings.HasSuffix(s.Backend, onSim) {
		about[harness.ServiceInngest] = "sim: harness skip puts its clock forward"
	}
	mail := s.MailHog.Program.Title() + ": every email the app sends"
	if strings.HasPrefix(s.MailHog.URL, "imap") {
		mail = "a mailbox of a mail server"
	}
	for _, i := range infos {
		if about[i.Service] = i.Version; i.Service == harness.ServiceMailHog && i.MailCatcher != "" && !i.HasUI {
			mail += "; a build without its web page, whose emails the dashboard shows"
		}
		if i.Service != harness.ServiceInngest {
			continue
		}
		if strings.HasPrefix(i.Version, "v") { // an attached server has its address here
			about[i.Service] = strings.Replace(kind, "server", "server "+i.Version, 1)
		}
		if !i.HasUI {
			about[i.Service] += ", without its web page: see `harness doctor`"
		}
	}
	if s.Inngest.StandIn {
		about[harness.ServiceInngest] = standInKind
	}
	var rows [][]string
	if s.App.URL != "" {
		about := "functions at " + s.App.Path
		if s.App.Connect {
			about = "connected to Inngest"
		}
		rows = append(rows, []string{"app", s.App.URL, about})
	}
	if s.Dashboard.URL != "" {
		rows = append(rows, []string{"dashboard", s.Dashboard.URL, "live: events, runs, steps, emails"})
	}
	rows = append(rows,
		[]string{"mail", withoutLogin(s.MailHog.URL), mail},
		[]string{"inngest", s.Inngest.URL, about[harness.ServiceInngest]},
		[]string{"smtp", s.MailHog.SMTP, "where mail is caught"},
		[]string{"mongodb", s.Mongo.URI, about[harness.ServiceMongo]},
	)
	return slices.DeleteFunc(rows, func(row []string) bool { return row[1] == "" }) // some are not part of every stack
}

// withoutLogin returns a URL without user and password.
func withoutLogin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		return address
	}
	u.User = nil
	return u.String()
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

func envCommand(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "env",
		Short: "print the stack's addresses as shell exports",
		Long: `env prints, for the stack that is up here, the variables that 'harness up' gives to its app, with the
servers' own addresses. PORT and APP_URL are there when the stack runs an app.`,
		Example: `  eval "$(harness env)"
  mongosh "$MONGODB_URI"
  harness env --json | jq -r .INNGEST_DEV`,
		Args: noArgs,
	}
	asJSON := jsonFlag(cmd, "print them as a JSON object")
	cmd.RunE = func(*cobra.Command, []string) error {
		s, err := io.findState()
		if err != nil {
			return err
		}
		vars := map[string]string{}
		var lines strings.Builder
		for _, v := range s.Env().Environ() {
			key, value, _ := strings.Cut(v, "=")
			if s.App.URL == "" && (key == "PORT" || key == "APP_URL") {
				continue // an empty one would replace that of an app started by hand
			}
			vars[key] = value
			fmt.Fprintf(&lines, "export %s='%s'\n", key, strings.ReplaceAll(value, "'", `'\''`))
		}
		if *asJSON {
			return writeJSON(io.out, vars)
		}
		_, err = fmt.Fprint(io.out, lines.String())
		return err
	}
	return cmd
}

// downTimeout bounds the wait for the end of a stack, which is bounded itself.
const downTimeout = stopTimeout + killTime + 2*time.Second

func downCommand(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:        "down",
		SuggestFor: []string{"stop", "kill", "quit"},
		Short:      "stop the stack that is up here",
		Long: `down asks the 'harness up' that keeps the stack up to end, and waits until it has, and with it the app
and the servers. With no stack up it does nothing and exits with 0.`,
		Example: "  harness down",
		Args:    noArgs,
	}
	asJSON := jsonFlag(cmd, "print what was stopped as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, dir, err := statefile.Find(io.stackDir())
		if err != nil && !isNoStack(err) {
			return err
		}
		if err == nil && !locked(dir) {
			return fmt.Errorf("process %d, which %s names, is no `harness up`: remove that file", s.PID, filepath.Join(dir, statefile.Dir, "stack.json"))
		}
		var took time.Duration
		if err == nil {
			done := newPrinter(io).waiting("down", "waiting for the stack to end")
			took, err = endStack(cmd.Context(), s)
			done()
			if err != nil {
				return err
			}
		} else {
			s.PID = 0
		}
		switch {
		case *asJSON:
			return writeJSON(io.out, struct {
				Stopped bool             `json:"stopped"`
				PID     int              `json:"pid,omitempty"`
				Took    harness.Duration `json:"took"`
			}{s.PID != 0, s.PID, harness.Duration(took)})
		case s.PID == 0:
			where := "here"
			if dir := io.stackDir(); dir != "" {
				where = "in " + dir
			}
			fmt.Fprintln(io.out, "no stack is up "+where)
		default:
			fmt.Fprintf(io.out, "the stack is down after %s\n", text.Elapsed(took))
		}
		return nil
	}
	return cmd
}

// endStack interrupts the stack's process, and waits for its end.
func endStack(ctx context.Context, s statefile.State) (took time.Duration, err error) {
	began := time.Now()
	if err := interrupt(s.PID); errors.Is(err, errors.ErrUnsupported) {
		return 0, fmt.Errorf("%s has no way to interrupt process %d from here: press Ctrl-C in its window", runtime.GOOS, s.PID)
	} else if err != nil {
		return 0, fmt.Errorf("interrupt process %d: %w", s.PID, err)
	}
	ctx, cancel := context.WithTimeout(ctx, downTimeout)
	defer cancel()
	err = poll.Until(ctx, pollInterval, func(context.Context) error {
		if started, err := proc.StartTime(s.PID); err == nil && started.Equal(s.Started) {
			return fmt.Errorf("process %d is still there: `kill -9 %d` ends it", s.PID, s.PID)
		}
		return nil
	})
	return time.Since(began), err
}
