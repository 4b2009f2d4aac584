package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
)

// level says what a finding means for `harness up`.
type level string

const (
	levelOK      level = "ok"
	levelNote    level = "note"    // it works; there is something to know
	levelMissing level = "missing" // it does not work
)

// finding is one line of the doctor's report.
type finding struct {
	Subject string `json:"subject"`
	Level   level  `json:"level"`
	Found   string `json:"found"`
	// Do is what to do about it; empty where there is nothing to do.
	Do string `json:"do,omitempty"`
}

func doctorCommand(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:         "doctor",
		Short:       "say what is here, what is missing, and what to do",
		Long:        "doctor looks at what 'harness up' needs on this machine, and at what it could use. It changes nothing.",
		Example:     "  harness doctor\n  harness doctor --json | jq -r '.[] | select(.level == \"missing\") | .do'",
		Annotations: exitStatus("0  nothing is missing\n1  something is\n2  the command line was wrong"),
		Args:        noArgs,
	}
	asJSON := jsonFlag(cmd, "print the findings as a JSON array")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		findings := examine(cmd.Context(), io)
		if *asJSON {
			if err := writeJSON(io.out, findings); err != nil {
				return err
			}
		} else {
			printFindings(io, findings)
		}
		for _, f := range findings {
			if f.Level == levelMissing {
				return exitError{exitFailed, nil}
			}
		}
		return nil
	}
	return cmd
}

func printFindings(io stdio, findings []finding) {
	paint := io.paint(io.out)
	colour := map[level]func(string) string{levelOK: paint.green, levelNote: paint.yellow, levelMissing: paint.red}
	for _, f := range findings {
		fmt.Fprintf(io.out, "%s  %-8s %s\n", colour[f.Level](fmt.Sprintf("%-7s", f.Level)), f.Subject, safe(f.Found))
		if f.Do != "" {
			fmt.Fprintf(io.out, "%-7s  %-8s → %s\n", "", "", safe(f.Do))
		}
	}
}

func examine(ctx context.Context, io stdio) []finding {
	goFinding := examineGo(ctx)
	findings := []finding{goFinding}
	for _, t := range toolchain.Tools() {
		findings = append(findings, examineTool(ctx, t, goFinding.Level == levelOK))
	}
	findings = append(findings, examinePage(ctx), examineMailpit(ctx))
	for _, t := range toolchain.Packaged() {
		findings = append(findings, examinePackaged(ctx, t))
	}
	return append(findings, examineDocker(ctx), examineStack(io), examinePorts(io))
}

func examineGo(ctx context.Context) finding {
	out, err := exec.CommandContext(ctx, "go", "version").Output()
	if err != nil {
		return finding{"go", levelNote, "no go command: " + err.Error(), "install Go 1.26.4 or newer and put it in PATH, unless the servers are there already"}
	}
	return finding{"go", levelOK, strings.TrimSpace(strings.TrimPrefix(string(out), "go version ")), ""}
}

// examineTool looks for a server's program. canBuild says that a missing one can be built.
func examineTool(ctx context.Context, t harness.Service, canBuild bool) finding {
	bin, err := toolchain.Find(ctx, t, toolchain.Options{})
	switch {
	case errors.Is(err, toolchain.ErrNotBuilt) && canBuild:
		return finding{string(t), levelNote, firstLine(err.Error()), "nothing: the first `harness up` builds it, or `harness tools build` now; Inngest takes some minutes"}
	case err != nil:
		return finding{string(t), levelMissing, firstLine(err.Error()), fmt.Sprintf("set %s to a program, or install Go 1.26.4 or newer, which builds one", toolchain.Variable(t))}
	case t == harness.ServiceInngest && bin.Source != toolchain.SourceBuilt:
		return finding{string(t), levelNote, describeTool(bin) + ", whose Connect ports listen on all interfaces",
			"nothing on a network that you trust; otherwise have the harness build it: HARNESS_IGNORE_INSTALLED=1, and no INNGEST_BIN"}
	default:
		return finding{string(t), levelOK, describeTool(bin), ""}
	}
}

// examinePage looks for the web page of a server that is built, and of sim.
func examinePage(ctx context.Context) finding {
	name := string(toolchain.Page)
	bin, err := toolchain.Find(ctx, toolchain.Page, toolchain.Options{})
	if cannot := (*toolchain.Error)(nil); errors.As(err, &cannot) {
		return finding{name, levelNote, "Inngest's page is not built: " + firstLine(cannot.Why), "nothing, unless you want it: " + cannot.Fix}
	} else if err != nil {
		return finding{name, levelNote, firstLine(err.Error()), "nothing: `harness up` builds it in the background, or `harness tools build page` now; some minutes"}
	}
	return finding{name, levelOK, describeTool(bin), ""}
}

// examineMailpit looks for what only `harness up --mail mailpit` needs.
func examineMailpit(ctx context.Context) finding {
	subject := string(toolchain.Mailpit)
	bin, err := toolchain.Find(ctx, toolchain.Mailpit, toolchain.Options{})
	switch {
	case errors.Is(err, toolchain.ErrNotBuilt):
		return finding{subject, levelNote, firstLine(err.Error()), "nothing, unless you want `harness up --mail mailpit`, which builds it"}
	case err != nil:
		return finding{subject, levelMissing, firstLine(err.Error()), "set " + toolchain.Variable(toolchain.Mailpit) + " to a program, or unset it"}
	case !bin.HasUI:
		return finding{subject, levelNote, describeTool(bin) + ", without its web page",
			"nothing, unless you want Mailpit's own page: then set " + toolchain.Variable(toolchain.Mailpit) + " to a release of it"}
	default:
		return finding{subject, levelOK, describeTool(bin), ""}
	}
}

// examinePackaged looks for a server that only `harness up --inngest start` needs.
func examinePackaged(ctx context.Context, t harness.Service) finding {
	bin, err := toolchain.Find(ctx, t, toolchain.Options{})
	if missing := (*toolchain.Error)(nil); errors.As(err, &missing) {
		return finding{string(t), levelNote, firstLine(missing.Why), "nothing, unless you want `harness up --inngest start`: " + missing.Fix}
	} else if err != nil {
		return finding{string(t), levelNote, firstLine(err.Error()), ""}
	}
	return finding{string(t), levelOK, describeTool(bin), ""}
}

func examineStack(io stdio) finding {
	s, err := io.findState()
	switch {
	case err == nil:
		return finding{"stack", levelOK, fmt.Sprintf("up on the %s backend (process %d)", s.Backend, s.PID), ""}
	case isNoStack(err) && errors.Unwrap(err) == nil: // no file
		return finding{"stack", levelOK, "none is up here", ""}
	default:
		return finding{"stack", levelNote, firstLine(err.Error()), "nothing: the next `harness up` replaces the file"}
	}
}

// examinePorts looks at the ports that a `harness up` with fixed ports wants.
func examinePorts(io stdio) finding {
	if _, err := io.findState(); err == nil {
		return finding{"ports", levelOK, "not looked at: a stack is up", ""}
	}
	known := harness.KnownPorts()
	var taken []string
	for _, number := range []int{known.App, known.Dashboard, known.Inngest, known.MailHog, known.SMTP, known.Mongo} {
		var held *port.TakenError
		if err := port.Check(number, ""); errors.As(err, &held) {
			by := fmt.Sprint(number)
			if held.Holder != "" {
				by += " by " + held.Holder
			}
			taken = append(taken, by)
		}
	}
	if len(taken) > 0 {
		return finding{"ports", levelNote, "in use: " + strings.Join(taken, ", "), "end these programs, or use `harness up --ports free`"}
	}
	return finding{"ports", levelOK, "the known ones are free", ""}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
