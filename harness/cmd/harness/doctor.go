package main

import (
	"fmt"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
)

// finding is one line of the doctor's report.
type finding struct {
	Subject string `json:"subject"`
	OK      bool   `json:"ok"`
	Found   string `json:"found"`
	// Do is what to do about it; empty where there is nothing to do.
	Do string `json:"do,omitempty"`
}

func doctorCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "doctor",
		Short:   "Say what is here, what is missing, and what to do",
		Long:    "doctor looks at what the harness needs on this machine. It changes nothing. It exits with 1 when something is missing.",
		Example: "  harness doctor",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			findings := examine(cmd)
			if asJSON {
				if err := writeJSON(cmd.OutOrStdout(), findings); err != nil {
					return err
				}
			} else {
				for _, f := range findings {
					mark := "ok  "
					if !f.OK {
						mark = "MISS"
					}
					fmt.Fprintf(cmd.OutOrStdout(), "%s  %-10s %s\n", mark, f.Subject, f.Found)
					if f.Do != "" {
						fmt.Fprintf(cmd.OutOrStdout(), "      %-10s → %s\n", "", f.Do)
					}
				}
			}
			for _, f := range findings {
				if !f.OK {
					return quietError(exitFailed)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	return cmd
}

func examine(cmd *cobra.Command) []finding {
	findings := []finding{examineGo(cmd)}
	for _, t := range allTools {
		bin, err := toolchain.Find(cmd.Context(), t, toolchain.Options{})
		f := finding{Subject: string(t), OK: err == nil}
		if err != nil {
			f.Found, f.Do = firstLine(err.Error()), "harness tools build (or let `harness up` do it)"
		} else {
			f.Found = fmt.Sprintf("%s (%s)", bin.Version, bin.Source)
			if bin.Database != "" {
				f.Found = fmt.Sprintf("%s (%s)", bin.Database, bin.Source)
			}
			if t == toolchain.Inngest && !bin.HasUI {
				f.Found += ", without its web page"
				f.Do = "optional: install inngest-cli with npm, or set INNGEST_BIN, to have Inngest's own page"
			}
		}
		findings = append(findings, f)
	}
	findings = append(findings, examineStack(), examinePorts())
	return findings
}

func examineGo(cmd *cobra.Command) finding {
	out, err := exec.CommandContext(cmd.Context(), "go", "version").Output()
	if err != nil {
		return finding{"go", false, "no go command: " + err.Error(), "install Go 1.26.4 or newer and put it in PATH; without it, set INNGEST_BIN, MAILHOG_BIN and MONGOD_BIN"}
	}
	return finding{"go", true, strings.TrimSpace(strings.TrimPrefix(string(out), "go version ")), ""}
}

func examineStack() finding {
	s, _, err := findState()
	switch {
	case err == nil:
		return finding{"stack", true, fmt.Sprintf("up on the %s backend (process %d)", s.Backend, s.PID), ""}
	case isNoStack(err) && err.Error() == harness.ErrNoStack.Error():
		return finding{"stack", true, "none is up here", ""}
	default:
		return finding{"stack", true, firstLine(err.Error()), "nothing: the next `harness up` replaces the file"}
	}
}

// examinePorts looks at the ports that a `harness up` with fixed ports wants.
func examinePorts() finding {
	if _, _, err := findState(); err == nil {
		return finding{"ports", true, "not looked at: a stack is up", ""}
	}
	known := harness.KnownPorts()
	var taken []string
	for _, p := range []struct {
		port int
		name string
	}{{known.App, "the app"}, {known.Inngest, "Inngest"}, {known.MailHog, "MailHog"}, {known.SMTP, "SMTP"}, {known.Mongo, "MongoDB"}} {
		if err := port.Check(p.port, p.name); err != nil {
			taken = append(taken, fmt.Sprint(p.port))
		}
	}
	if len(taken) > 0 {
		return finding{"ports", true, "in use: " + strings.Join(taken, ", "), "end the programs that hold them, or use `harness up --ports free`"}
	}
	return finding{"ports", true, "the known ones are free", ""}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
