package main

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// manual writes the help of a command in the form of a manual page. Annotations are further sections.
func manual(w io.Writer, cmd *cobra.Command) {
	fmt.Fprintf(w, "%s - %s\n", cmd.CommandPath(), cmd.Short)
	section := func(title, text string) {
		if text = strings.Trim(text, "\n"); strings.TrimSpace(text) != "" {
			fmt.Fprintf(w, "\n%s\n%s\n", strings.ToUpper(title), text)
		}
	}
	use := cmd.UseLine()
	if cmd.HasAvailableSubCommands() {
		use = cmd.CommandPath() + " COMMAND"
	}
	section("Usage", indent(use))
	section("Description", indent(cmd.Long))
	section("Examples", cmd.Example)
	for _, group := range cmd.Groups() {
		section(group.Title, commandList(cmd, group.ID))
	}
	section("Commands", commandList(cmd, ""))
	section("Flags", cmd.Flags().FlagUsages())
	for _, title := range slices.Sorted(maps.Keys(cmd.Annotations)) {
		if title != cobra.CommandDisplayNameAnnotation {
			section(title, indent(cmd.Annotations[title]))
		}
	}
	if document(cmd.Name()) != "" && cmd.Parent() == cmd.Root() {
		fmt.Fprintf(w, "\n`harness help %s.md` tells more.\n", cmd.Name())
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\n`%s COMMAND --help` shows more about one of them.\n", cmd.CommandPath())
	}
}

// commandList lists the commands of a group below cmd.
func commandList(cmd *cobra.Command, group string) string {
	var b strings.Builder
	for _, c := range cmd.Commands() {
		if c.GroupID == group && (c.IsAvailableCommand() || c.Name() == "help") {
			fmt.Fprintf(&b, "  %-*s   %s\n", c.NamePadding(), c.Name(), c.Short)
		}
	}
	return b.String()
}

var notBlank = regexp.MustCompile(`(?m)^.*\S`)

// indent indents the lines that are not blank.
func indent(text string) string { return notBlank.ReplaceAllString(text, "  $0") }

// exitStatus returns the section on a command's exit statuses, where they differ from the usual ones.
func exitStatus(text string) map[string]string { return map[string]string{"Exit status": text} }

// jsonFlag adds the flag --json to a command.
func jsonFlag(cmd *cobra.Command, what string) *bool {
	return cmd.Flags().Bool("json", false, what)
}
