package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/docs"
)

// helpCommand shows the help of a command, or a document.
func helpCommand(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "help [COMMAND | TOPIC]",
		Short: "show the help of a command, or a document",
		Long: `help shows the help of a command, as COMMAND --help does, or a document about a topic. Where a command has the
name of a topic, that is the topic with .md behind it.`,
		Example: `  harness help up
  harness help mail show
  harness help writing-tests | less
  harness help explore.md`,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		root := cmd.Root()
		if len(args) == 0 {
			return root.Help()
		}
		if found, rest, err := root.Find(args); err == nil && len(rest) == 0 && found != root {
			found.InitDefaultHelpFlag()
			return found.Help()
		}
		if text := topic(args[0]); text != "" && len(args) == 1 {
			_, err := fmt.Fprint(io.out, text)
			return err
		}
		if near := similar(args[0], topics()); near != "" {
			return usagef("there is no command or topic %q: did you mean `harness help %s`?", args[0], near)
		}
		return unknownCommand(root, args[0])
	}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
		if len(args) == 0 {
			for _, c := range cmd.Root().Commands() {
				names = append(names, c.Name())
			}
			names = append(names, topics()...)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

// topics are the names of the documents.
func topics() []string {
	files, err := docs.FS.ReadDir(".")
	must(err)
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), ".md"))
	}
	return names
}

// document returns a document as it was written; "" where there is none about the topic.
func document(topic string) string {
	text, _ := docs.FS.ReadFile(strings.TrimSuffix(strings.TrimPrefix(topic, "docs/"), ".md") + ".md")
	return string(text)
}

// topicList lists the topics with the titles of their documents, as the help of the program shows them.
func topicList() string {
	var b strings.Builder
	for _, name := range topics() {
		title, _, _ := strings.Cut(strings.TrimPrefix(document(name), "# "), "\n")
		fmt.Fprintf(&b, "%-18s %s\n", name, title)
	}
	return b.String()
}

var (
	picture = regexp.MustCompile(`!\[[^\]]*\]\([^)]*\)\n*|(?s:<!--.*?-->\n*)`)
	link    = regexp.MustCompile(`\[([^\]]+)\]\(([^)\s]*)\)`)
)

// topic returns a document as text: its links name what can be typed or opened, and it has no pictures.
func topic(name string) string {
	parts := strings.Split(document(name), "```") // every other one is code
	for i := 0; i < len(parts); i += 2 {
		parts[i] = link.ReplaceAllStringFunc(picture.ReplaceAllString(parts[i], ""), func(l string) string {
			m := link.FindStringSubmatch(l)
			text, target := m[1], m[2]
			file, _, _ := strings.Cut(target, "#")
			// With its .md a topic is not taken for the command of the same name.
			switch {
			case strings.Contains(target, "://"):
				return text + " (" + target + ")"
			case !slices.Contains(topics(), strings.TrimSuffix(file, ".md")):
				return text
			case text == file:
				return "`harness help " + file + "`"
			default:
				return text + " (`harness help " + file + "`)"
			}
		})
	}
	return strings.Join(parts, "```")
}
