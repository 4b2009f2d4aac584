package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness/attach"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/probe"
)

func probeCommand(std stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:        "probe URL",
		SuggestFor: []string{"audit", "inspect", "security"},
		Short:      "look at a deployed app from outside: is it registered, and closed to strangers",
		Long: `probe looks at an app in production mode and at its Inngest server, as a stranger would: is the app registered, at
which address, with which functions; are unsigned calls, other keys and old signatures refused; can a stranger register
the app elsewhere; what does the Inngest server answer without a key. URL is where the app serves its functions,
with the path.

With INNGEST_SIGNING_KEY it also asks the app what it is, and with HARNESS_INNGEST_URL the Inngest server
what it knows. It changes nothing: see 'harness help production'.`,
		Example: `  harness probe https://app.example/api/inngest
  HARNESS_INNGEST_URL=https://inngest.example harness probe https://app.example/api/inngest
  harness probe https://app.example/api/inngest --json | jq -r '.[] | select(.outcome == "wrong") | .what'`,
		Annotations: exitStatus("0  nothing is wrong, as far as could be found out\n1  something is wrong\n2  the command " +
			"line was wrong"),
		Args: between(1, 1, "the URL of an app's handler"),
	}
	asJSON := jsonFlag(cmd, "print the findings as a JSON array")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		u, err := url.Parse(args[0])
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return usagef("%q is no URL of an app: give it with its path, as in https://app.example/api/inngest", args[0])
		}
		o := probe.Options{URL: args[0], SigningKey: os.Getenv(inngestapi.EnvSigningKey)}
		if server := strings.TrimRight(os.Getenv(attach.EnvInngest), "/"); server != "" {
			o.Inngest = inngestapi.New(server, inngestapi.Options{SigningKey: o.SigningKey})
			defer o.Inngest.Close(cmd.Context())
		}
		done := newPrinter(std).waiting("probe", "asking "+u.Host)
		findings := probe.Run(cmd.Context(), o)
		done()
		if *asJSON {
			err = writeJSON(std.out, findings)
		} else {
			err = printProbe(std.out, std.paint(std.out), findings)
		}
		if slices.ContainsFunc(findings, func(f probe.Finding) bool { return f.Outcome == probe.Wrong }) {
			return errors.Join(err, exitError{exitFailed, nil})
		}
		return err
	}
	return cmd
}

// findingMarks are the symbols of outcomes, as in a verdict.
var findingMarks = map[probe.Outcome]string{probe.OK: "✓", probe.Wrong: "✗", probe.Note: "–", probe.Unknown: "…"}

func printProbe(w io.Writer, p paint, findings []probe.Finding) error {
	var b strings.Builder
	count := map[probe.Outcome]int{}
	for _, f := range findings {
		count[f.Outcome]++
		fmt.Fprintf(&b, "%s %s: %s\n", findingMarks[f.Outcome], f.Check, cmp.Or(f.What, string(f.Outcome)))
		if f.Why != "" {
			fmt.Fprintf(&b, "    because %s\n", f.Why)
		}
		if f.Do != "" {
			fmt.Fprintf(&b, "    → %s\n", f.Do)
		}
	}
	fmt.Fprintf(&b, "%d checks: %d wrong, %d not known\n", len(findings), count[probe.Wrong], count[probe.Unknown])
	_, err := fmt.Fprint(w, p.marks(safe(b.String())))
	return err
}
