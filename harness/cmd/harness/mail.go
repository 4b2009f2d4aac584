package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

func mailCommand(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:        "mail",
		SuggestFor: []string{"mails", "email", "emails", "inbox"},
		Short:      "look at the emails that were sent",
		Long: `mail reads the inbox of the stack that is up here, with every email decoded: transfer encodings, charsets,
encoded headers. Control characters in an email are shown as text, so that they cannot affect the terminal.`,
		Example: `  harness mail ls
  harness mail show
  harness mail wait --to kim@plant.test`,
		Args: subcommandArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(mailLsCommand(io), mailShowCommand(io), mailWaitCommand(io), mailClearCommand(io))
	return cmd
}

// filterFlags gives a command the flags that choose emails.
func filterFlags(cmd *cobra.Command) *inbox.Filter {
	var f inbox.Filter
	cmd.Flags().StringVar(&f.To, "to", "", "those delivered to this `ADDRESS`")
	cmd.Flags().StringVar(&f.From, "from", "", "those from this `ADDRESS`")
	cmd.Flags().StringVar(&f.Subject, "subject", "", "those with exactly this `SUBJECT`, decoded")
	cmd.Flags().StringVar(&f.RunID, "run", "", "those of the run with this `ID`")
	cmd.Flags().StringToStringVar(&f.Header, "header", nil, "those with this header, as `NAME=VALUE`; may be repeated")
	return &f
}

func mailLsCommand(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:        "ls",
		SuggestFor: []string{"list"},
		Short:      "list emails, the oldest first",
		Long:       "ls lists the emails in the inbox, or those of them that meet all the flags.",
		Example: `  harness mail ls
  harness mail ls --to kim@plant.test --json | jq -r '.[].subject'`,
		Args: noArgs,
	}
	f := filterFlags(cmd)
	asJSON := jsonFlag(cmd, "print them, whole, as a JSON array")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := io.connect(cmd.Context(), mailOnly, "")
		if err != nil {
			return err
		}
		defer c.close()
		found, err := c.Mail(cmd.Context(), *f, "")
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(io.out, found)
		}
		if len(found) == 0 {
			fmt.Fprintln(io.out, "no emails "+f.String())
			return nil
		}
		tw := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
		const enough = 60 // one long subject would push the ids of all emails off the screen
		for _, m := range found {
			to, subject := oneLine(strings.Join(m.Envelope.To, ", ")), oneLine(m.Subject)
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", m.Received.Local().Format(time.TimeOnly), text.Clip(to, enough), text.Clip(subject, enough), m.ID)
		}
		return tw.Flush()
	}
	return cmd
}

func mailShowCommand(io stdio) *cobra.Command {
	var html, raw, headers bool
	var attachment string
	cmd := &cobra.Command{
		Use:        "show [ID]",
		SuggestFor: []string{"cat", "get", "print"},
		Short:      "show an email, the latest where none is named",
		Long: `show prints an email's main headers and its text. ID is the one that 'harness mail ls' prints. --raw is the
message as it was sent, unchanged: it may hold control characters for a terminal.`,
		Example: `  harness mail show
  harness mail show --html > email.html
  harness mail show --attachment '*.csv'
  harness mail show --json | jq -r .messageId`,
		Annotations: exitStatus("0  shown\n1  there is no such email, or no stack is up\n2  the command line was wrong"),
		Args:        between(0, 1, "the id of one email"),
	}
	asJSON := jsonFlag(cmd, "print all of it as JSON")
	f := cmd.Flags()
	f.BoolVar(&html, "html", false, "print the HTML body alone")
	f.BoolVar(&raw, "raw", false, "print the message as it was sent")
	f.BoolVar(&headers, "headers", false, "print all headers, decoded")
	f.StringVar(&attachment, "attachment", "", "print the bytes of the file with this `NAME`, or of the only one that a pattern such as *.pdf matches")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		chosen := 0
		for _, flag := range []bool{html, raw, headers, attachment != "", *asJSON} {
			if flag {
				chosen++
			}
		}
		if chosen > 1 {
			return usagef("--html, --raw, --headers, --attachment and --json exclude each other")
		}
		c, err := io.connect(cmd.Context(), mailOnly, "")
		if err != nil {
			return err
		}
		defer c.close()
		m, err := pick(cmd.Context(), c, args)
		if err != nil {
			return err
		}
		switch {
		case *asJSON:
			return writeJSON(io.out, m)
		case raw:
			var source []byte
			if source, err = c.Source(cmd.Context(), m.ID); err == nil {
				_, err = io.out.Write(source)
			}
		case attachment != "":
			err = writeFile(io, m, attachment)
		case html && m.HTML == "":
			err = fmt.Errorf("email %s has no HTML body", m.ID)
		case html:
			_, err = fmt.Fprint(io.out, safe(m.HTML))
		case headers:
			for _, h := range m.Headers {
				fmt.Fprintf(io.out, "%s: %s\n", oneLine(h.Name), oneLine(h.Value))
			}
		default:
			printMail(io, m)
		}
		return err
	}
	cmd.ValidArgsFunction = io.completeIDs(mailOnly, func(ctx context.Context, c client) (ids []string, err error) {
		all, err := c.Mail(ctx, inbox.Filter{}, "")
		for i := len(all) - 1; i >= 0 && len(ids) < completions; i-- {
			ids = append(ids, cobra.CompletionWithDesc(all[i].ID, oneLine(all[i].Subject)))
		}
		return ids, err
	})
	return cmd
}

// writeFile prints the bytes of the one file of an email whose name is a name, or matches a pattern.
func writeFile(io stdio, m *harness.Message, pattern string) error {
	var names []string
	var found []harness.Part
	for _, part := range m.Files() {
		names = append(names, cmp.Or(part.Name, part.ContentID))
		matches, err := path.Match(pattern, names[len(names)-1])
		if err != nil && names[len(names)-1] != pattern {
			return usagef("--attachment %q: %w", pattern, err)
		}
		if matches || names[len(names)-1] == pattern {
			found = append(found, part)
		}
	}
	if len(found) != 1 {
		return fmt.Errorf("of the files of email %s, %d are called %s: it has %s", m.ID, len(found), pattern, cmp.Or(strings.Join(names, ", "), "none"))
	}
	_, err := io.out.Write(found[0].Data)
	return err
}

// pick returns the email of an id, or the latest.
func pick(ctx context.Context, c client, args []string) (*harness.Message, error) {
	if len(args) == 1 {
		return c.OneMail(ctx, args[0])
	}
	all, err := c.Mail(ctx, inbox.Filter{}, "")
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New("the inbox is empty")
	}
	return all[len(all)-1], nil
}

func mailWaitCommand(io stdio) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "wait",
		Short: "wait for an email",
		Long: `wait returns when the inbox has an email that meets all the flags, at once when it has one already, and
prints it as 'harness mail show' does. When none comes in time it names the most similar one.`,
		Example: `  harness mail wait --to kim@plant.test
  harness mail wait --to kim@plant.test --header X-Order=17 --timeout 30s --json`,
		Annotations: exitStatus("0  it is there\n1  it did not come in time, or no stack is up\n2  the command line was wrong"),
		Args:        noArgs,
	}
	f := filterFlags(cmd)
	asJSON := jsonFlag(cmd, "print it as JSON")
	durationFlag(cmd.Flags(), &timeout, "timeout", 10*time.Second, "how long to wait")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if f.String() == "" {
			return usagef("say which email is meant: give one of --to, --from, --subject, --run and --header")
		}
		if timeout <= 0 {
			return usagef("--timeout %v: it is a time to wait, as in 10s", timeout)
		}
		c, err := io.connect(cmd.Context(), mailOnly, "")
		if err != nil {
			return err
		}
		defer c.close()
		seen := newPrinter(io).waiting("mail", "waiting for "+f.String())
		found, err := c.Mail(cmd.Context(), *f, timeout.String())
		seen()
		switch {
		case err != nil:
			return err
		case *asJSON:
			return writeJSON(io.out, found[0])
		default:
			printMail(io, found[0])
			return nil
		}
	}
	return cmd
}

func mailClearCommand(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:        "clear",
		SuggestFor: []string{"rm", "delete", "empty", "purge"},
		Short:      "remove emails",
		Long: `clear removes all emails from the inbox, or with flags those that meet all of them. Tests that
use the same inbox miss what is cleared.`,
		Example: `  harness mail clear
  harness mail clear --to kim@plant.test`,
		Args: noArgs,
	}
	f := filterFlags(cmd)
	asJSON := jsonFlag(cmd, "print how many were removed as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := io.connect(cmd.Context(), mailOnly, "")
		if err != nil {
			return err
		}
		defer c.close()
		removed, err := c.ClearMail(cmd.Context(), *f)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(io.out, map[string]int{"removed": removed})
		}
		fmt.Fprintf(io.out, "%d removed\n", removed)
		return nil
	}
	return cmd
}

// printMail shows an email to a person: main headers, text, attachments, problems.
func printMail(io stdio, m *harness.Message) {
	paint := io.paint(io.out)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(io.out, "%s %s\n", paint.cyan(fmt.Sprintf("%-13s", name+":")), oneLine(value))
		}
	}
	line("Id", m.ID)
	line("Received", m.Received.Local().Format(time.DateTime))
	line("From", addresses(m.From))
	line("To", addresses(m.To))
	line("Cc", addresses(m.Cc))
	line("Delivered to", strings.Join(m.Envelope.To, ", "))
	line("Subject", m.Subject)
	line("Message-ID", m.MessageID)
	for _, a := range m.Files() {
		line("Attachment", fmt.Sprintf("%s (%s, %d bytes)", cmp.Or(a.Name, a.ContentID, "without a name"), a.ContentType, len(a.Data)))
	}
	for _, p := range m.Problems {
		line("Problem", p)
	}
	switch {
	case m.Text != "":
		fmt.Fprintf(io.out, "\n%s\n", strings.TrimRight(safe(m.Text), "\n"))
	case m.HTML != "":
		fmt.Fprintf(io.out, "\n(no text part; --html shows the HTML one of %d bytes)\n", len(m.HTML))
	}
}

// addresses prints addresses for a person: decoded, where their String is encoded.
func addresses(list harness.Addresses) string {
	var all []string
	for _, a := range list {
		if a.Name != "" {
			all = append(all, fmt.Sprintf("%s <%s>", a.Name, a.Address))
		} else {
			all = append(all, a.Address)
		}
	}
	return strings.Join(all, ", ")
}
