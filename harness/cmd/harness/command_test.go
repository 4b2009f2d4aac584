package main

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// discard is a world without a terminal.
func discard() stdio {
	return stdio{in: strings.NewReader(""), out: io.Discard, err: io.Discard, getenv: func(string) string { return "" }}
}

// commands returns all commands of the program.
func commands(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		all = append(all, commands(sub)...)
	}
	return all
}

func TestCommands_AreDocumented(t *testing.T) {
	t.Parallel()
	for _, c := range commands(newRoot(discard())) {
		if p := c.Parent(); p != nil && p.Name() == "completion" {
			continue // cobra's own
		}
		t.Run(c.CommandPath(), func(t *testing.T) {
			require.NotEmpty(t, c.Short)
			require.NotEmpty(t, c.Long)
			require.NotEmpty(t, c.Example)
			group := c.HasSubCommands() || c.Name() == "help"
			require.Equal(t, !group, c.Flags().Lookup("json") != nil, "a command with an answer has --json, a group of them has none")
			for _, text := range []string{c.Short, c.Long, c.Example} {
				for line := range strings.Lines(text) {
					require.LessOrEqual(t, len([]rune(line)), 120, line)
				}
			}
		})
	}
}

// The examples have the commands' flags and arguments.
func TestExamples_Parse(t *testing.T) {
	t.Parallel()
	examples := 0
	for _, c := range commands(newRoot(discard())) {
		for line := range strings.Lines(c.Example) {
			for _, words := range exampleCommands(line) {
				examples++
				root := newRoot(discard())
				cmd, rest, err := root.Find(words)
				require.NoError(t, err, line)
				require.NotSame(t, root, cmd, line)
				require.NoError(t, cmd.ParseFlags(rest), line)
				require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), line)
			}
		}
	}
	require.Greater(t, examples, 30)
}

// exampleCommands returns the arguments of the harness commands in a line of shell.
func exampleCommands(line string) [][]string {
	line, _, _ = strings.Cut(line, " #")
	for _, separator := range []string{"|", "&", "$(", "<(", ")", ">", "\""} {
		line = strings.ReplaceAll(line, separator, " ; ")
	}
	var all [][]string
	for part := range strings.SplitSeq(line, ";") {
		words := strings.Fields(part)
		if len(words) > 1 && words[0] == "harness" {
			all = append(all, words[1:])
		}
	}
	return all
}

func TestSimilar(t *testing.T) {
	t.Parallel()
	names := []string{"up", "status", "env", "down", "expect", "send", "runs", "mail"}
	for word, want := range map[string]string{
		"statsu":  "status",
		"stat":    "status",
		"dwon":    "down",
		"Down":    "down",
		"exepct":  "expect",
		"expects": "expect",
		"sned":    "send",
		"run":     "runs",
		"xyzzy":   "",
		"u":       "up",
		"":        "",
	} {
		require.Equal(t, want, similar(word, names), word)
	}
}

// An id is pasted as `mail ls` printed it.
func TestSparingIDs_MovesIDsThatBeginWithADash(t *testing.T) {
	t.Parallel()
	const id = "-oAAzmiAV1gU1-6k9ya054rTxFJEpMKMQwpIzR_h0ic=@mailhog.example"
	for _, test := range []struct{ args, want []string }{
		{[]string{"mail", "show", id, "--json"}, []string{"mail", "show", "--json", "--", id}},
		{[]string{"mail", "show", "--", id}, []string{"mail", "show", "--", id}},
		{[]string{"mail", "ls", "--to=a@b"}, []string{"mail", "ls", "--to=a@b"}},
		{[]string{"up", "--", "prog", id}, []string{"up", "--", "prog", id}},
		{nil, nil},
	} {
		require.Equal(t, test.want, sparingIDs(test.args))
	}
}

func TestSafe(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain, ünïcode 🔧\tand\nlines": "plain, ünïcode 🔧\tand\nlines",
		"\x1b[2J":                      `\u001b[2J`,
		"\r over":                      `\u000d over`,
		"\u009b31m":                    `\u009b31m`,
		"a\u202etxt.exe":               `a\u202etxt.exe`,
		"\x7f":                         `\u007f`,
	} {
		require.Equal(t, want, safe(in))
	}
	require.Equal(t, `one\ntwo three`, oneLine("one\ntwo\tthree"))
}

func TestPrinter_WithoutATerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := newPrinter(stdio{err: &out, getenv: func(string) string { return "" }})
	for _, elapsed := range []time.Duration{0, time.Second, 2 * time.Second, quietFor, quietFor + time.Second, 2 * quietFor} {
		p.progress(harness.Progress{Subject: "inngest", Doing: "compiling", Elapsed: elapsed})
	}
	p.progress(harness.Progress{Subject: "inngest", Doing: "built", Elapsed: 31 * time.Second, Done: true})
	require.Equal(t, []string{
		"inngest  compiling",
		"inngest  compiling  15s",
		"inngest  compiling  30s",
		"inngest  built  31s",
	}, lines(out.String()))
}

func TestPrinter_OnATerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := newPrinter(stdio{err: &out, getenv: func(string) string { return "" }})
	p.live = true
	p.progress(harness.Progress{Subject: "app", Doing: "starting"})
	p.output("first line")
	p.progress(harness.Progress{Subject: "app", Doing: "starting", Elapsed: 1500 * time.Millisecond})
	p.progress(harness.Progress{Subject: "app", Doing: "ready", Elapsed: 2 * time.Second, Done: true})
	p.finish()
	p.progress(harness.Progress{Subject: "explore", Doing: "3 of 9"})
	p.finish()
	require.Equal(t, "app      starting\r\x1b[Kapp      | first line\napp      starting  1.5s\r\x1b[Kapp      ready  2s\nexplore  3 of 9\r\x1b[K", out.String())
}

func TestPrinter_Waiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newPrinter(stdio{err: &out, getenv: func(string) string { return "" }})
		done := p.waiting("mail", "waiting")
		time.Sleep(2*quietFor + 500*time.Millisecond) // virtual time
		done()
		require.Equal(t, []string{"mail     waiting  15s", "mail     waiting  30s"}, lines(out.String()), "without a terminal")

		out.Reset()
		p.live = true
		p.waiting("mail", "waiting")()
		require.Empty(t, out.String(), "a wait that ends at once is not announced")
		done = p.waiting("mail", "waiting")
		time.Sleep(2500 * time.Millisecond) // virtual time
		done()
		require.Equal(t, "mail     waiting  1s\r\x1b[Kmail     waiting  2s\r\x1b[K", out.String())
	})
}

// It prints from many goroutines, as app and servers do.
func TestPrinter_KeepsLinesWhole(t *testing.T) {
	t.Parallel()
	var out writes
	p := newPrinter(stdio{err: &out, getenv: func(string) string { return "" }})
	done := make(chan struct{})
	for range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 50 {
				p.output("a line of the app")
				p.say("up", "a line of ours")
			}
		}()
	}
	for range 8 {
		<-done
	}
	require.Len(t, out, 800)
	for _, w := range out {
		require.Contains(t, []string{"app      | a line of the app\n", "up       a line of ours\n"}, w)
	}
}

// writes records each write. The printer writes one at a time.
type writes []string

func (w *writes) Write(p []byte) (int, error) {
	*w = append(*w, string(p))
	return len(p), nil
}

func lines(s string) []string {
	return slices.Collect(strings.SplitSeq(strings.TrimSuffix(s, "\n"), "\n"))
}

func TestPaint_NeedsATerminal(t *testing.T) {
	t.Parallel()
	require.False(t, bool(discard().paint(io.Discard)))
	require.Equal(t, "ok", paint(false).green("ok"))
	require.Equal(t, "\x1b[32mok\x1b[0m", paint(true).green("ok"))
	require.Equal(t, "\x1b[31m✗\x1b[0m a step", paint(true).marks("✗ a step"))
	require.Equal(t, "✗ a step", paint(false).marks("✗ a step"))
}

func TestRun_PrintsErrorsOnce(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	status := run(context.Background(), []string{"statsu"}, stdio{out: &out, err: &errs, getenv: func(string) string { return "" }})
	require.Equal(t, exitUsage, status)
	require.Empty(t, out.String())
	require.Equal(t, "harness: there is no command \"statsu\": did you mean `harness status`?\n", errs.String())
}

func TestParentFlag_DoesNotFollowTheProcessThatTakesOnOrphans(t *testing.T) {
	defer func(was int) { startedBy = was }(startedBy)
	var p parentFlag
	for _, orphan := range []int{0, 1} {
		startedBy = orphan
		require.ErrorContains(t, p.Set(directParent), "the one that started it may have ended already: name that")
	}
	startedBy = 4711
	require.NoError(t, p.Set(directParent))
	require.EqualValues(t, 4711, p)
	startedBy = 1
	require.NoError(t, p.Set("1"), "in a container it may be the one")
}

func TestFlags_TakeDurationsAlike(t *testing.T) {
	t.Parallel()
	flags := 0
	for _, c := range commands(newRoot(discard())) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Value.Type() != "duration" {
				return
			}
			flags++
			for text, want := range map[string]string{"1.5s": "1.5s", "90m": "1h30m0s", "3d": "72h0m0s", "1w": "168h0m0s", "10": "10s"} {
				require.NoError(t, f.Value.Set(text), "%s --%s", c.CommandPath(), f.Name)
				require.Equal(t, want, f.Value.String(), "%s --%s %s", c.CommandPath(), f.Name, text)
			}
			require.EqualError(t, f.Value.Set("soon"), `"soon" is no duration, as in 1.5s, 90m, 3d or 1w`)
			require.Error(t, f.Value.Set("10000000000"), "more seconds than a duration holds")
		})
	}
	require.Greater(t, flags, 8)
}

func TestReadEvents_TakesJSONText(t *testing.T) {
	t.Parallel()
	events, err := readEvents(t.Context(), discard(), `[{"name":"a/b"},{"name":"a/c"}]`)
	require.NoError(t, err)
	require.Len(t, events, 2)
	_, err = readEvents(t.Context(), discard(), `{"name"}`)
	require.ErrorContains(t, err, "the JSON text is not JSON: ")
}
