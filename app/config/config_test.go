package config_test

import (
	"log/slog"
	"maps"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app/config"
	"github.com/odoo-maintenance/inngest-harness/app/inngest/functions"
)

func production(change ...string) map[string]string {
	environ := map[string]string{
		"INNGEST_EVENT_KEY": "event-key", "INNGEST_SIGNING_KEY": "signkey-prod-0123abcd", "API_TOKEN": "0123456789abcdef",
		"MONGODB_URI": "mongodb://kim:secret@db.plant.example/plant", "MAIL_HOST": "smtp.plant.example",
		"MAIL_FROM": "Wartung <wartung@plant.example>", "APP_URL": "https://plant.example/maintenance/",
	}
	for i := 0; i < len(change); i += 2 {
		environ[change[i]] = change[i+1]
	}
	return environ
}

func parse(t *testing.T, environ map[string]string) config.Config {
	c, err := config.Parse(environ)
	require.NoError(t, err)
	return c
}

func TestParse_DevelopmentHasDefaults(t *testing.T) {
	t.Parallel()
	c := parse(t, map[string]string{"INNGEST_DEV": "1"})
	require.True(t, c.Dev())
	require.Equal(t, "http://127.0.0.1:8288", c.EventURL)
	require.Equal(t, "http://127.0.0.1:8288", c.APIURL)
	require.Equal(t, "mongodb://127.0.0.1:27017/maintenance", c.MongoDBURI)
	require.Equal(t, "127.0.0.1", c.MailHost)
	require.Equal(t, 1025, c.MailPort)
	require.Equal(t, mail.Address{Name: "Maintenance", Address: "maintenance@localhost.test"}, c.MailFrom)
	require.Equal(t, "127.0.0.1", c.Host)
	require.Equal(t, 3000, c.Port)
	require.Equal(t, "http://localhost:3000", c.AppURL.String())
	require.Nil(t, c.ServeURL, "the dev server knows where it found the app")
	require.Empty(t, c.APIToken)
	require.Equal(t, time.UTC, c.TimeZone)
	require.Equal(t, slog.LevelInfo, c.LogLevel)
	require.Equal(t, 8*time.Second, c.ShutdownTimeout)
	require.Zero(t, c.DrainDelay)
}

func TestParse_Production(t *testing.T) {
	t.Parallel()
	c := parse(t, production("TIME_ZONE", "Europe/Berlin", "PORT", "8080", "MAIL_PORT", "465", "LOG_LEVEL", "warn"))
	require.False(t, c.Dev())
	require.Equal(t, "https://inn.gs", c.EventURL)
	require.Equal(t, "https://api.inngest.com", c.APIURL)
	require.Equal(t, c.AppURL, c.ServeURL)
	require.Empty(t, c.Host, "all addresses")
	require.Equal(t, 8080, c.Port)
	require.Equal(t, 465, c.MailPort)
	require.Equal(t, "https://plant.example/maintenance", c.AppURL.String())
	require.Equal(t, "Europe/Berlin", c.TimeZone.String())
	require.Equal(t, slog.LevelWarn, c.LogLevel)
	require.Equal(t, 587, parse(t, production()).MailPort)
	require.Equal(t, 3*time.Second, c.DrainDelay)
	require.Zero(t, parse(t, production("DRAIN_DELAY", "0s")).DrainDelay)
	require.False(t, c.Connect)
	connected := parse(t, production("INNGEST_CONNECT", "1", "CONNECT_CONCURRENCY", "40"))
	require.True(t, connected.Connect)
	require.Equal(t, int64(40), connected.ConnectConcurrency)
	require.Equal(t, "http://app:3000", parse(t, production("SERVE_URL", "http://app:3000/")).ServeURL.String())
}

func TestParse_InngestURLs(t *testing.T) {
	t.Parallel()
	const dev, base, api = "http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"
	for name, c := range map[string]struct {
		environ    map[string]string
		event, api string
	}{
		"the dev server's URL":          {map[string]string{"INNGEST_DEV": dev}, dev, dev},
		"a base URL wins":               {map[string]string{"INNGEST_DEV": dev, "INNGEST_BASE_URL": base}, base, base},
		"self-hosted":                   {production("INNGEST_BASE_URL", base), base, base},
		"self-hosted, API elsewhere":    {production("INNGEST_BASE_URL", base, "INNGEST_API_BASE_URL", api), base, api},
		"self-hosted, events elsewhere": {production("INNGEST_BASE_URL", base, "INNGEST_EVENT_API_BASE_URL", api), api, base},
	} {
		got := parse(t, c.environ)
		require.Equal(t, []string{c.event, c.api}, []string{got.EventURL, got.APIURL}, name)
	}
}

func TestParse_TracesURL(t *testing.T) {
	t.Parallel()
	const base, traces = "http://127.0.0.1:4318/otlp/", "http://127.0.0.1:4319/x"
	require.Empty(t, parse(t, production()).OTLPTracesURL)
	require.Equal(t, "http://127.0.0.1:4318/otlp/v1/traces", parse(t, production("OTEL_EXPORTER_OTLP_ENDPOINT", base)).OTLPTracesURL)
	require.Equal(t, traces, parse(t, production("OTEL_EXPORTER_OTLP_ENDPOINT", base, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", traces)).OTLPTracesURL)
}

func TestParse_ReportsAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := config.Parse(map[string]string{
		"INNGEST_BASE_URL": "inngest:8288", "INNGEST_SIGNING_KEY": "hunter2", "INNGEST_SIGNING_KEY_FALLBACK": "0",
		"MONGODB_URI": "mongodb://kim:hunter2@", "MAIL_PORT": "hunter2", "MAIL_PASS": "hunter2", "MAIL_FROM": "hunter2",
		"PORT": "70000", "APP_URL": "https://plant.example/?a=hunter2", "API_TOKEN": "hunter2", "API_TOKEN_FALLBACK": "hunter2", "API_RATE": "-1", "LINK_KEY": "hunter2",
		"TIME_ZONE": "Berlin", "REDISPATCH_AFTER": "hunter2", "CONFIRM_AFTER": "1ms", "SHUTDOWN_TIMEOUT": "-1s", "DRAIN_DELAY": "8s",
		"METRICS_ADDR": "hunter2", "OTEL_EXPORTER_OTLP_ENDPOINT": "hunter2:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "hunter2", "LOG_LEVEL": "hunter2",
		"MAIL_TIMEOUT": "30", "SERVE_URL": "hunter2:3000",
		"INNGEST_CONNECT": "hunter2", "INNGEST_CONNECT_GATEWAY_URL": "http://hunter2:8289", "CONNECT_CONCURRENCY": "-1",
	})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2", "the error holds a value, which may be a secret")
	for _, line := range []string{
		"the configuration is not valid (production mode, since INNGEST_DEV is not set; no .env file is read):",
		"SERVE_URL: must be an http:// or https:// URL without user, query and fragment",
		"INNGEST_CONNECT: is not a valid true or false",
		"INNGEST_CONNECT_GATEWAY_URL: must be a ws:// or wss:// URL, such as ws://inngest:8289/v0/connect",
		"CONNECT_CONCURRENCY: must not be negative",
		"MAIL_PORT: is not a valid number",
		"MAIL_TIMEOUT: is not a valid duration such as 30s or 5m",
		"REDISPATCH_AFTER: is not a valid duration such as 30s or 5m",
		"CONFIRM_AFTER: must be a positive duration such as 30s",
		"LOG_LEVEL: is not a valid level (debug, info, warn, error)",
		"INNGEST_BASE_URL: must be an http:// or https:// URL without user, query and fragment",
		"INNGEST_EVENT_KEY: is required",
		"INNGEST_SIGNING_KEY: must be an even number of hexadecimal digits, with or without signkey-…- in front",
		"INNGEST_SIGNING_KEY_FALLBACK: must be an even number of hexadecimal digits, with or without signkey-…- in front",
		"MONGODB_URI: not a valid MongoDB URI",
		"MAIL_HOST: is required",
		"MAIL_USER: is required when MAIL_PASS is set",
		"MAIL_FROM: must be an email address, with or without a name: Maintenance <maintenance@plant.example>",
		"PORT: must be between 0 and 65535",
		"APP_URL: must be an http:// or https:// URL without user, query and fragment",
		"API_TOKEN: must have at least 16 characters",
		"API_TOKEN_FALLBACK: must have at least 16 characters",
		"API_RATE: must not be negative",
		"LINK_KEY: must have at least 16 characters",
		"TIME_ZONE: must be an IANA time zone such as Europe/Berlin",
		"SHUTDOWN_TIMEOUT: must be a positive duration such as 30s",
		"METRICS_ADDR: must be an address with a port, such as :9464 or 127.0.0.1:9464",
		"OTEL_EXPORTER_OTLP_ENDPOINT: must be an http:// or https:// URL",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: must be an http:// or https:// URL",
		"DRAIN_DELAY: must be shorter than SHUTDOWN_TIMEOUT, which includes it; 0s: no delay",
	} {
		require.Contains(t, err.Error()+"\n", line, "")
	}
}

func TestParse_ProductionRequiresVariables(t *testing.T) {
	t.Parallel()
	for variable := range production() {
		environ := production(variable, "")
		_, err := config.Parse(environ)
		require.ErrorContains(t, err, "\n  "+variable+": is required", variable)
	}
}

func TestParse_OfSomeVariablesAsksForNoOther(t *testing.T) {
	t.Parallel()
	environ := map[string]string{"MONGODB_URI": "mongodb://db.plant.example", "PORT": "x", "MAIL_PASS": "secret"}
	c, err := config.Parse(environ, "MONGODB_URI", "HOST")
	require.NoError(t, err)
	require.Equal(t, "mongodb://db.plant.example", c.MongoDBURI)
	require.Zero(t, c.Port)
	_, err = config.Parse(environ, "MONGODB_URI", "PORT", "API_TOKEN")
	require.ErrorContains(t, err, "\n  API_TOKEN: is required\n  PORT: is not a valid number")
	require.NotContains(t, err.Error(), "MAIL_HOST")
	_, err = config.Parse(map[string]string{"INNGEST_DEV": "no"}, "PORT")
	require.ErrorContains(t, err, "INNGEST_DEV: is \"no\"")
}

// secrets are the variables that may be in a file.
var secrets = []string{
	"INNGEST_EVENT_KEY", "INNGEST_SIGNING_KEY", "INNGEST_SIGNING_KEY_FALLBACK", "MONGODB_URI", "MAIL_USER", "MAIL_PASS",
	"API_TOKEN", "API_TOKEN_FALLBACK", "LINK_KEY",
}

func TestParse_ReadsSecretsFromFiles(t *testing.T) {
	t.Parallel()
	fill := func(environ map[string]string) map[string]string {
		for _, name := range secrets {
			if environ[name] == "" {
				environ[name] = "0123456789abcdef"
			}
		}
		return environ
	}
	for ending, lineEnd := range map[string]string{"none": "", "LF": "\n", "CR LF": "\r\n"} {
		environ := fill(production())
		want := parse(t, environ)
		dir := t.TempDir()
		for _, name := range secrets {
			path := filepath.Join(dir, name)
			require.NoError(t, os.WriteFile(path, []byte(environ[name]+lineEnd), 0o600))
			environ[name], environ[name+"_FILE"] = "", path
		}
		require.Equal(t, want, parse(t, environ), "line end: %s", ending)
	}
	names := []string{}
	for _, v := range config.Table() {
		if v.Secret {
			names = append(names, v.Name)
			require.Contains(t, config.Usage(), " Or "+v.Name+"_FILE: a file that holds it.", "app help does not document it")
		}
	}
	require.ElementsMatch(t, secrets, names)
}

func TestParse_ReportsUnusableSecretFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none"):       "none: ",
		dir:                              "names a file that cannot be used: ",
		write("empty", "\n"):             "empty is empty",
		write("two", "hunter2\nhunter2"): "two has more than one line",
		write("large", strings.Repeat("hunter2", 10_000)): "large has more than 65536 bytes",
	} {
		for _, name := range secrets {
			_, err := config.Parse(production(name, "", name+"_FILE", path))
			require.ErrorContains(t, err, "\n  "+name+": "+name+"_FILE names a file that cannot be used: ", path)
			require.ErrorContains(t, err, want)
			require.NotContains(t, err.Error(), "hunter2")
			require.NotContains(t, err.Error(), "required", "one problem is reported as two")
		}
	}
	_, err := config.Parse(production("API_TOKEN_FILE", write("token", "fedcba9876543210")))
	require.ErrorContains(t, err, "\n  API_TOKEN: is set, and API_TOKEN_FILE too: set one of them")
	parse(t, production("MAIL_HOST_FILE", "nothing", "LINK_KEY_FILE", "")) // not a secret; unset
	_, err = config.Parse(production("LINK_KEY_FILE", dir), "HOST", "PORT")
	require.NoError(t, err, "the file of a variable that is not asked for")
}

func TestParse_RequiresTokenBesideItsFallback(t *testing.T) {
	t.Parallel()
	environ := map[string]string{"INNGEST_DEV": "1", "API_TOKEN_FALLBACK": "0123456789abcdef"}
	_, err := config.Parse(environ)
	require.ErrorContains(t, err, "API_TOKEN: is required when API_TOKEN_FALLBACK is set")
	environ["API_TOKEN"] = "fedcba9876543210"
	parse(t, environ)
}

func TestParse_RejectsInngestDevOff(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"0", "false", "no", "OFF"} {
		_, err := config.Parse(production("INNGEST_DEV", value))
		require.ErrorContains(t, err, "unset it for production mode", value)
	}
	_, err := config.Parse(map[string]string{"INNGEST_DEV": "localhost:8288"})
	require.ErrorContains(t, err, "INNGEST_DEV: must be an http:// or https:// URL")
}

func TestParse_RedispatchAfterExceedsRetrySchedule(t *testing.T) {
	t.Parallel()
	c := parse(t, production())
	require.GreaterOrEqual(t, c.RedispatchAfter, functions.RetrySchedule(c.MailTimeout))
}

// Load reads the working directory and the environment of the process, so its tests cannot run in parallel.
func TestLoad(t *testing.T) {
	for _, variable := range config.Table() {
		for _, name := range []string{variable.Name, variable.Name + "_FILE"} {
			t.Setenv(name, "")
			require.NoError(t, os.Unsetenv(name)) // Setenv restores it afterwards
		}
	}
	t.Chdir(t.TempDir())
	write := func(lines ...string) {
		require.NoError(t, os.WriteFile(filepath.Join(".", ".env"), []byte(strings.Join(lines, "\n")), 0o600))
	}

	write("INNGEST_DEV=1", "PORT=4000", "MAIL_USER=kim", "MAIL_PASS=secret")
	c, err := config.Load()
	require.NoError(t, err)
	require.True(t, c.Dev())
	require.Equal(t, 4000, c.Port)
	require.Equal(t, "kim", c.MailUser)

	t.Setenv("PORT", "5000")
	t.Setenv("MAIL_USER", "")
	t.Setenv("MAIL_PASS", "")
	c, err = config.Load()
	require.NoError(t, err)
	require.Equal(t, 5000, c.Port, "the environment wins")
	require.Empty(t, c.MailUser, "also with an empty value")

	write("PORT=4000")
	for name, value := range production() {
		t.Setenv(name, value)
	}
	require.NoError(t, os.Unsetenv("PORT"))
	c, err = config.Load()
	require.NoError(t, err)
	require.Equal(t, 3000, c.Port, ".env is not read in production")

	write("'")
	_, err = config.Load()
	require.ErrorContains(t, err, "read .env: ")
}

func TestTable(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, v := range config.Table() {
		require.NotEmpty(t, v.Name)
		require.NotEmpty(t, v.Doc, v.Name)
		require.False(t, names[v.Name], "%s is listed twice", v.Name)
		names[v.Name] = true
		require.Contains(t, config.Usage(), v.Name)
	}
	for variable := range maps.Keys(production()) {
		require.True(t, names[variable], variable)
	}
	require.Regexp(t, `\n  MAIL_PORT +Its port\. 465 means implicit TLS; on others STARTTLS is used when offered\. \[development: 1025; production: 587\]\n`, config.Usage())
}
