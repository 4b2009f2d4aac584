//go:build unix

package toolchain_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
)

func TestFind_InstalledInngest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		program string // in PATH
		prints  string
		ignore  bool
		version string // empty: not taken
		ui      bool
	}{
		{name: "the pinned release", program: "inngest", prints: "1.43.0-0a1b2c3d4", version: "v1.43.0", ui: true},
		{name: "by its npm name", program: "inngest-cli", prints: "1.43.0-0a1b2c3d4", version: "v1.43.0", ui: true},
		{name: "a newer one", program: "inngest", prints: "v1.100.2-0a1b2c3d4", version: "v1.100.2", ui: true},
		{name: "a newer major", program: "inngest", prints: "2.0.0-0a1b2c3d4", version: "v2.0.0", ui: true},
		{name: "a pre-release", program: "inngest", prints: "1.44.0-beta.1-0a1b2c3d4", version: "v1.44.0", ui: true},
		{name: "built from the module", program: "inngest", prints: "1.43.0-", version: "v1.43.0"},
		{name: "older", program: "inngest", prints: "1.42.9-0a1b2c3d4"},
		{name: "much older", program: "inngest", prints: "1.9.0-0a1b2c3d4"},
		{name: "of no version", program: "inngest", prints: "dev-"},
		{name: "something else", program: "inngest", prints: "hello"},
		{name: "not wanted", program: "inngest", prints: "1.43.0-0a1b2c3d4", ignore: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop(t)
			path := w.script(t, c.program, `[ "$1" = version ] && echo "`+c.prints+`" && echo "$DO_NOT_TRACK" >$NOTES/track`)
			if c.ignore {
				w.env["HARNESS_IGNORE_INSTALLED"] = "1"
			}
			bin, err := toolchain.Find(t.Context(), harness.ServiceInngest, w.options())
			if c.version == "" {
				require.ErrorIs(t, err, toolchain.ErrNotBuilt)
				return
			}
			require.NoError(t, err)
			require.Equal(t, toolchain.Binary{Tool: harness.ServiceInngest, Path: path, Version: c.version, Source: "installed", HasUI: c.ui}, bin)
			require.Equal(t, "1\n", w.note(t, "track"))
		})
	}
	t.Run("the second name is looked at when the first is too old", func(t *testing.T) {
		t.Parallel()
		w := newWorkshop(t)
		w.script(t, "inngest", "echo 1.0.0-0a1b2c3d4")
		good := w.script(t, "inngest-cli", "echo 1.43.0-0a1b2c3d4")
		bin, err := toolchain.Find(t.Context(), harness.ServiceInngest, w.options())
		require.NoError(t, err)
		require.Equal(t, good, bin.Path)
	})
	t.Run("not from the working directory", func(t *testing.T) {
		t.Parallel()
		w := newWorkshop(t)
		w.env["PATH"] = ".:relative"
		_, err := toolchain.Find(t.Context(), harness.ServiceInngest, w.options())
		require.ErrorIs(t, err, toolchain.ErrNotBuilt)
	})
}

func TestFind_ProgramNamedByAVariable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		tool     harness.Service
		variable string
		script   string
		want     toolchain.Binary
	}{
		{"Inngest", harness.ServiceInngest, "INNGEST_BIN", `[ "$1" = version ] && echo 1.45.1-0a1b2c3d4`, toolchain.Binary{Version: "v1.45.1", HasUI: true}},
		{"Inngest of one's own", harness.ServiceInngest, "INNGEST_BIN", "echo dev-", toolchain.Binary{}},
		{"MailHog", harness.ServiceMailHog, "MAILHOG_BIN", `[ "$1" = --version ] && echo MailHog version: v1.0.1`, toolchain.Binary{Version: "v1.0.1", HasUI: true}},
		{"Mailpit", toolchain.Mailpit, "MAILPIT_BIN", `[ "$1 $2" = "version --no-release-check" ] && echo "$0 v1.33.1 compiled with go1.26.8 on linux/amd64"`, toolchain.Binary{Version: "v1.33.1", HasUI: true}},
		{"Mailpit from its module", toolchain.Mailpit, "MAILPIT_BIN", `echo "$0 dev compiled with go1.26.8 on linux/amd64"`, toolchain.Binary{}},
		{"MailHog without a version", harness.ServiceMailHog, "MAILHOG_BIN", "echo 'MailHog version: '", toolchain.Binary{HasUI: true}},
		{"MongoDB", harness.ServiceMongo, "MONGOD_BIN", `[ "$1" = --version ] && printf 'db version v8.0.4\nBuild Info: {}\n'`, toolchain.Binary{Version: "v8.0.4", Database: "MongoDB 8.0.4"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop(t)
			path := w.script(t, "program", c.script)
			for _, value := range []string{path, "program"} {
				w.env[c.variable] = value
				bin, err := toolchain.Ensure(t.Context(), c.tool, w.options())
				require.NoError(t, err)
				c.want.Tool, c.want.Path, c.want.Source = c.tool, path, c.variable
				require.Equal(t, c.want, bin)
			}
		})
	}
	for _, c := range []struct {
		name   string
		value  string
		script string
		want   string
	}{
		{"missing", "/none/mongod", "", `cannot use MONGOD_BIN=/none/mongod: exec: "/none/mongod": stat /none/mongod: no such file or directory. Let it name a program that runs, or unset it.`},
		{"not in PATH", "mongod-none", "", "cannot use MONGOD_BIN=mongod-none: there is no mongod-none in PATH: executable file not found in $PATH. "},
		{"fails", "program", "exit 7", "program --version: exit status 7. "},
		{"is something else", "program", "echo hello", `program --version names no version of MongoDB but prints "hello". `},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop(t)
			w.script(t, "go", goodGo)
			w.script(t, "program", c.script)
			w.env["MONGOD_BIN"] = c.value
			_, err := toolchain.Ensure(t.Context(), harness.ServiceMongo, w.options())
			require.ErrorContains(t, err, c.want)
			require.NotErrorIs(t, err, toolchain.ErrNotBuilt)
			require.Empty(t, w.note(t, "builds"), "what is named is not passed over")
		})
	}
}

func TestFind_ServersOfARelease(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program, server := filepath.Join(dir, "harness"), filepath.Join(dir, toolchain.Servers, "mailhog")
	find := func(variable string) (toolchain.Binary, error) {
		return toolchain.Find(t.Context(), harness.ServiceMailHog, toolchain.Options{
			CacheDir: t.TempDir(), Program: program,
			LookupEnv: func(key string) (string, bool) { return variable, key == "MAILHOG_BIN" },
		})
	}
	_, err := find("")
	require.ErrorIs(t, err, toolchain.ErrNotBuilt)
	require.NoError(t, os.MkdirAll(filepath.Dir(server), 0o755))
	require.NoError(t, os.WriteFile(server, nil, 0o755))
	bin, err := find("")
	require.NoError(t, err)
	require.Equal(t, toolchain.Binary{
		Tool: harness.ServiceMailHog, Path: server, Version: toolchain.Pinned(harness.ServiceMailHog), Source: toolchain.SourceReleased, HasUI: true,
	}, bin)
	_, err = find("/nowhere/mailhog")
	require.ErrorContains(t, err, "use MAILHOG_BIN=/nowhere/mailhog", "a variable counts first")
}
