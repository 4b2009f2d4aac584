package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

func reportCommand(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report DIR",
		Short: "make one page of what tests have recorded",
		Long: `report joins what tests, the fault matrix and measurements have left in DIR into one page that opens from
a file, with JUnit XML and a Markdown summary beside it. Tests record when HARNESS_REPORT names DIR, as an
absolute path; they make the page themselves when they end, so that report is for what came after them.
So do verdicts of 'harness expect', and tests in other languages.`,
		Example: `  HARNESS_REPORT=$PWD/report go test ./...
  harness report report
  harness report --clear report`,
		Args: between(1, 1, "a directory"),
	}
	asJSON := jsonFlag(cmd, "print the headline and the paths, or what was cleared, as JSON")
	clear := cmd.Flags().Bool("clear", false, "remove what is recorded there instead, before the next run")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		dir, err := filepath.Abs(args[0])
		if err != nil {
			return err
		}
		if *clear {
			removed, err := report.Clear(dir)
			if err != nil {
				return err
			}
			if *asJSON {
				return writeJSON(io.out, map[string]any{"cleared": dir, "removed": removed})
			}
			_, err = fmt.Fprintf(io.out, "cleared %s (%s); the next run begins anew\n", dir, text.Count(removed, "file", "files"))
			return err
		}
		r, err := report.Write(dir)
		if err != nil {
			return err
		}
		made := struct {
			Headline string `json:"headline"`
			Page     string `json:"page"`
			JUnit    string `json:"junit"`
			Summary  string `json:"summary"`
		}{r.Headline(), filepath.Join(dir, report.PageFile), filepath.Join(dir, report.JUnitFile), filepath.Join(dir, report.SummaryFile)}
		if *asJSON {
			return writeJSON(io.out, made)
		}
		fmt.Fprintln(io.out, made.Headline)
		return writeTable(io.out, [][]string{{"page", made.Page}, {"junit", made.JUnit}, {"summary", made.Summary}})
	}
	return cmd
}
