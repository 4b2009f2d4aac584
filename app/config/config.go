package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/mail"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // time zones for systems without a time zone database, such as an image made from scratch

	"github.com/caarlos0/env/v11"
	"github.com/joho/godotenv"

	"github.com/odoo-maintenance/inngest-harness/app/mongostore"
)

// Config is a valid configuration. Get one from Load or Parse.
//
// The tags name the variable of each field, its documentation (see Table) and its default: in both modes (default), in
// development (dev) or in production (prod). The default "required" makes a missing variable an error. A variable tagged
// secret may be in a file, see Variable.File.
type Config struct {
	InngestDev         string `env:"INNGEST_DEV" doc:"1 or the dev server's URL: development mode. Unset: production mode."`
	InngestBaseURL     string `env:"INNGEST_BASE_URL" doc:"Inngest server for events, registrations and checkpoints. Unset: in development the URL in INNGEST_DEV or http://127.0.0.1:8288, in production Inngest Cloud."`
	EventURL           string `env:"INNGEST_EVENT_API_BASE_URL" doc:"Inngest server for events. Unset: INNGEST_BASE_URL."`
	APIURL             string `env:"INNGEST_API_BASE_URL" doc:"Inngest server for registrations and checkpoints. Unset: INNGEST_BASE_URL."`
	EventKey           string `env:"INNGEST_EVENT_KEY" secret:"yes" doc:"Key that authorizes sending events." dev:"dev" prod:"required"`
	SigningKey         string `env:"INNGEST_SIGNING_KEY" secret:"yes" doc:"Key that verifies calls from Inngest (hexadecimal, with or without signkey-…- in front)." prod:"required"`
	SigningKeyFallback string `env:"INNGEST_SIGNING_KEY_FALLBACK" secret:"yes" doc:"The previous key, while keys are rotated."`

	Connect            bool   `env:"INNGEST_CONNECT" doc:"1: the app connects to Inngest and receives its calls over this connection. It needs no registration and serves no /api/inngest. Unset: Inngest calls the app."`
	ConnectGateway     string `env:"INNGEST_CONNECT_GATEWAY_URL" doc:"Gateway to connect to, such as ws://inngest:8289/v0/connect. Unset: the one that Inngest names."`
	ConnectConcurrency int64  `env:"CONNECT_CONCURRENCY" doc:"Calls that a connected instance executes at the same time. 0: the SDK's limit of 1,000." default:"0"`
	InstanceID         string `env:"INSTANCE_ID" doc:"Name of the instance for a connection to Inngest and in traces. No two instances may have the same. Unset: host name and PORT."`

	MongoDBURI string `env:"MONGODB_URI" secret:"yes" doc:"Database. If the path names none, the name is maintenance." dev:"mongodb://127.0.0.1:27017/maintenance" prod:"required"`

	MailHost    string        `env:"MAIL_HOST" doc:"SMTP server." dev:"127.0.0.1" prod:"required"`
	MailPort    int           `env:"MAIL_PORT" doc:"Its port. 465 means implicit TLS; on others STARTTLS is used when offered." dev:"1025" prod:"587"`
	MailUser    string        `env:"MAIL_USER" secret:"yes" doc:"SMTP user. Unset: no AUTH."`
	MailPass    string        `env:"MAIL_PASS" secret:"yes" doc:"SMTP password."`
	MailFrom    mail.Address  `env:"MAIL_FROM" doc:"Sender, with or without a display name." dev:"Maintenance <maintenance@localhost.test>" prod:"required"`
	MailTimeout time.Duration `env:"MAIL_TIMEOUT" doc:"Longest time of a whole delivery. Each phase may take a third of it." default:"30s"`

	Host             string   `env:"HOST" doc:"Address to listen on. Unset in production: all addresses." dev:"127.0.0.1"`
	Port             int      `env:"PORT" doc:"Port to listen on. 0: any free port." default:"3000"`
	AppURL           *url.URL `env:"APP_URL" doc:"Public URL of the app. Emails link to it." dev:"http://localhost:PORT" prod:"required"`
	ServeURL         *url.URL `env:"SERVE_URL" doc:"URL of the app for Inngest, if that is another one. Unset: in production APP_URL, in development the address at which the server finds the app."`
	APIToken         string   `env:"API_TOKEN" secret:"yes" doc:"Bearer token of the requests API, at least 16 characters. Unset in development: no token is needed." prod:"required"`
	APITokenFallback string   `env:"API_TOKEN_FALLBACK" secret:"yes" doc:"A second accepted token: the previous one, while tokens are rotated. Links signed with it stay valid."`
	APIRate          int      `env:"API_RATE" doc:"Calls of the requests API per second that an instance accepts with each token. 0: no limit." default:"100"`
	LinkKey          string   `env:"LINK_KEY" secret:"yes" doc:"Key that signs the links in emails, at least 16 characters. Unset: derived from API_TOKEN."`

	TimeZone        *time.Location `env:"TIME_ZONE" doc:"Time zone in which schedules are shown, an IANA name such as Europe/Berlin." default:"UTC"`
	RedispatchAfter time.Duration  `env:"REDISPATCH_AFTER" doc:"Time after which an unfinished notification counts as lost and is dispatched again. Should be at least as long as a run can take with all its retries; otherwise runs overlap, which is harmless but adds load and log entries." default:"40m"`
	ConfirmAfter    time.Duration  `env:"CONFIRM_AFTER" doc:"Time after which Inngest is asked for the run of a dispatched notification that has not begun. If there is none, the notification is dispatched again." default:"2m"`
	ShutdownTimeout time.Duration  `env:"SHUTDOWN_TIMEOUT" doc:"Longest time of a stop, from the signal on, DRAIN_DELAY included. Less than the 10 s that container runtimes allow." default:"8s"`
	DrainDelay      time.Duration  `env:"DRAIN_DELAY" doc:"Time at the beginning of a stop in which /readyz answers 503 and all other calls are still accepted, so that a balancer can take the instance out." dev:"0s" prod:"3s"`
	MetricsAddr     string         `env:"METRICS_ADDR" doc:"Address on which metrics are served for Prometheus at /metrics, such as :9464 or 127.0.0.1:9464. They need no token. Unset: nowhere."`
	OTLPURL         string         `env:"OTEL_EXPORTER_OTLP_ENDPOINT" doc:"Collector to which traces are sent by OTLP over HTTP, such as http://127.0.0.1:4318. OTEL_SERVICE_NAME and the other variables of OpenTelemetry's SDK apply. Unset: no traces."`
	OTLPTracesURL   string         `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" doc:"The complete URL for traces. Unset: v1/traces below OTEL_EXPORTER_OTLP_ENDPOINT."`
	LogLevel        slog.Level     `env:"LOG_LEVEL" doc:"debug, info, warn or error." default:"info"`
}

// Dev reports whether the app is in development mode.
func (c Config) Dev() bool { return c.InngestDev != "" }

// Load reads the process's environment and, in development mode, the .env file in the working directory. With variables,
// it reads these only: neither a missing nor an invalid value of another variable is an error.
func Load(variables ...string) (Config, error) {
	environ := env.ToMap(os.Environ())
	file, err := godotenv.Read(".env")
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return Config{}, fmt.Errorf("read .env: %w", err)
	default:
		merged := maps.Clone(file)
		maps.Copy(merged, environ) // the environment wins, also with an empty value
		if merged["INNGEST_DEV"] != "" {
			environ = merged
		}
	}
	return Parse(environ, variables...)
}

// Parse makes a Config from variables: from all of them, or only from those given. An empty variable counts as unset. The
// error lists every problem on a line of its own.
func Parse(environ map[string]string, variables ...string) (Config, error) {
	c := Config{InngestDev: environ["INNGEST_DEV"]}
	p := parser{dev: c.Dev(), only: variables}
	p.decode(p.withDefaults(environ), &c)
	p.inngest(&c)
	p.rest(&c)
	if len(p.problems) > 0 {
		mode := "development mode, since INNGEST_DEV is set"
		if !p.dev {
			mode = "production mode, since INNGEST_DEV is not set; no .env file is read"
		}
		return Config{}, fmt.Errorf("the configuration is not valid (%s):\n  %s", mode, strings.Join(p.problems, "\n  "))
	}
	return c, nil
}

// parser collects problems.
type parser struct {
	dev      bool
	only     []string // the variables to read; none: all
	problems []string
}

// reads reports whether the variable is to be read. The mode is always.
func (p *parser) reads(variable string) bool {
	return len(p.only) == 0 || variable == "INNGEST_DEV" || slices.Contains(p.only, variable)
}

func (p *parser) problem(variable, format string, args ...any) {
	if p.reads(variable) {
		p.problems = append(p.problems, variable+": "+fmt.Sprintf(format, args...))
	}
}

// check adds a problem unless the variable is valid.
func (p *parser) check(variable string, valid bool, format string, args ...any) {
	if !valid {
		p.problem(variable, format, args...)
	}
}

// withDefaults returns the variables that are set, and the defaults of the others.
func (p *parser) withDefaults(environ map[string]string) map[string]string {
	set := map[string]string{}
	for _, v := range Table() {
		if !p.reads(v.Name) {
			continue
		}
		value, ok := p.value(v, environ)
		if !ok {
			continue
		}
		if value == "" && p.dev {
			value = strings.Replace(v.Development, "PORT", set["PORT"], 1)
		} else if value == "" {
			value = v.Production
		}
		if value == required {
			p.problem(v.Name, "is required")
		} else if value != "" {
			set[v.Name] = value
		}
	}
	return set
}

// maxSecret is the largest file of a secret, in bytes.
const maxSecret = 64 << 10

// value returns the value of a variable, which may be in a file, and false if that is a problem.
func (p *parser) value(v Variable, environ map[string]string) (string, bool) {
	name, value := v.File(), environ[v.Name]
	path := environ[name]
	switch {
	case name == "" || path == "":
		return value, true
	case value != "":
		p.problem(v.Name, "is set, and %s too: set one of them", name)
		return "", false
	}
	value, err := readSecret(path)
	if err != nil {
		p.problem(v.Name, "%s names a file that cannot be used: %v", name, err)
	}
	return value, err == nil
}

// readSecret returns the content of a file without its last line end.
func readSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", err
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case value == "":
		return "", fmt.Errorf("%s is empty", path)
	case len(data) > maxSecret:
		return "", fmt.Errorf("%s has more than %d bytes", path, maxSecret)
	case strings.ContainsAny(value, "\x00\r\n"):
		return "", fmt.Errorf("%s has more than one line", path)
	}
	return value, nil
}

// invalid is the error of a parser of this package. Unlike the errors of package env, it does not hold the value.
type invalid string

func (e invalid) Error() string { return string(e) }

var parsers = map[reflect.Type]env.ParserFunc{
	reflect.TypeFor[mail.Address](): func(s string) (any, error) {
		address, err := mail.ParseAddress(s)
		if err != nil {
			return nil, invalid("must be an email address, with or without a name: Maintenance <maintenance@plant.example>")
		}
		return *address, nil
	},
	reflect.TypeFor[url.URL](): func(s string) (any, error) {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return nil, invalid("must be an http:// or https:// URL without user, query and fragment")
		}
		u.Path = strings.TrimRight(u.Path, "/")
		return *u, nil
	},
	reflect.TypeFor[time.Location](): func(s string) (any, error) {
		zone, err := time.LoadLocation(s)
		if err != nil || s == "Local" {
			return nil, invalid("must be an IANA time zone such as Europe/Berlin")
		}
		return *zone, nil
	},
}

// typeNames describes the types whose parsers are not of this package.
var typeNames = map[string]string{
	"int":           "number",
	"int64":         "number",
	"bool":          "true or false",
	"time.Duration": "duration such as 30s or 5m",
	"slog.Level":    "level (debug, info, warn, error)",
}

func (p *parser) decode(environ map[string]string, c *Config) {
	err := env.ParseWithOptions(c, env.Options{Environment: environ, FuncMap: parsers})
	if err == nil {
		return
	}
	all, _ := errors.AsType[env.AggregateError](err)
	for _, err := range all.Errors {
		field, ok := errors.AsType[env.ParseError](err)
		if !ok {
			p.problems = append(p.problems, err.Error())
			continue
		}
		variable := variableOf(field.Name)
		if reason, ok := errors.AsType[invalid](field.Err); ok {
			p.problem(variable, "%v", reason)
		} else {
			// Without the value, which may be a secret in the wrong variable.
			p.problem(variable, "is not a valid %s", typeNames[field.Type.String()])
		}
	}
}

const (
	devServer  = "http://127.0.0.1:8288"
	cloudEvent = "https://inn.gs"
	cloudAPI   = "https://api.inngest.com"
)

func (p *parser) inngest(c *Config) {
	p.url("INNGEST_BASE_URL", c.InngestBaseURL)
	p.url("INNGEST_EVENT_API_BASE_URL", c.EventURL)
	p.url("INNGEST_API_BASE_URL", c.APIURL)
	eventServer, apiServer := cloudEvent, cloudAPI
	switch strings.ToLower(c.InngestDev) {
	case "":
	case "1", "true":
		eventServer, apiServer = devServer, devServer
	case "0", "false", "no", "off":
		p.problem("INNGEST_DEV", "is %q: unset it for production mode; the SDK takes any value for development mode", c.InngestDev)
	default:
		p.url("INNGEST_DEV", c.InngestDev)
		eventServer, apiServer = c.InngestDev, c.InngestDev
	}
	c.EventURL = cmp.Or(c.EventURL, c.InngestBaseURL, eventServer)
	c.APIURL = cmp.Or(c.APIURL, c.InngestBaseURL, apiServer)
	if !p.dev {
		c.ServeURL = cmp.Or(c.ServeURL, c.AppURL)
	}
	if c.ConnectGateway != "" {
		u, err := url.Parse(c.ConnectGateway)
		p.check("INNGEST_CONNECT_GATEWAY_URL", err == nil && u.Host != "" && (u.Scheme == "ws" || u.Scheme == "wss"),
			"must be a ws:// or wss:// URL, such as ws://inngest:8289/v0/connect")
	}
	p.check("CONNECT_CONCURRENCY", c.ConnectConcurrency >= 0, "must not be negative")
	p.signingKey("INNGEST_SIGNING_KEY", c.SigningKey)
	p.signingKey("INNGEST_SIGNING_KEY_FALLBACK", c.SigningKeyFallback)
}

func (p *parser) url(variable, value string) {
	if value == "" {
		return
	}
	if _, err := parsers[reflect.TypeFor[url.URL]()](value); err != nil {
		p.problem(variable, "%v", err)
	}
}

var signingKeyForm = regexp.MustCompile(`^(signkey-\w+-)?([0-9a-fA-F]{2})+$`)

func (p *parser) signingKey(variable, key string) {
	p.check(variable, key == "" || signingKeyForm.MatchString(key),
		"must be an even number of hexadecimal digits, with or without signkey-…- in front")
}

func (p *parser) rest(c *Config) {
	if c.MongoDBURI != "" {
		if _, err := mongostore.Parse(c.MongoDBURI); err != nil {
			p.problem("MONGODB_URI", "%v", err)
		}
	}
	p.url("OTEL_EXPORTER_OTLP_ENDPOINT", c.OTLPURL)
	p.url("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", c.OTLPTracesURL)
	if c.OTLPTracesURL == "" && c.OTLPURL != "" {
		c.OTLPTracesURL = strings.TrimRight(c.OTLPURL, "/") + "/v1/traces"
	}
	if c.MetricsAddr != "" {
		_, port, err := net.SplitHostPort(c.MetricsAddr)
		_, portErr := strconv.ParseUint(port, 10, 16)
		p.check("METRICS_ADDR", err == nil && portErr == nil, "must be an address with a port, such as :9464 or 127.0.0.1:9464")
	}
	p.port("MAIL_PORT", c.MailPort, 1)
	p.port("PORT", c.Port, 0)
	p.check("MAIL_USER", c.MailUser != "" || c.MailPass == "", "is required when MAIL_PASS is set")
	p.secret("API_TOKEN", c.APIToken)
	p.secret("API_TOKEN_FALLBACK", c.APITokenFallback)
	p.check("API_TOKEN", c.APIToken != "" || c.APITokenFallback == "" || !p.dev, "is required when API_TOKEN_FALLBACK is set")
	p.check("API_RATE", c.APIRate >= 0, "must not be negative")
	p.secret("LINK_KEY", c.LinkKey)
	p.positive("MAIL_TIMEOUT", c.MailTimeout)
	p.positive("REDISPATCH_AFTER", c.RedispatchAfter)
	p.positive("CONFIRM_AFTER", c.ConfirmAfter)
	p.positive("SHUTDOWN_TIMEOUT", c.ShutdownTimeout)
	p.check("DRAIN_DELAY", c.DrainDelay >= 0 && (c.DrainDelay == 0 || c.DrainDelay < c.ShutdownTimeout),
		"must be shorter than SHUTDOWN_TIMEOUT, which includes it; 0s: no delay")
}

func (p *parser) port(variable string, port, least int) {
	p.check(variable, port >= least && port <= 65535, "must be between %d and 65535", least)
}

// minSecret is the shortest accepted secret, in bytes.
const minSecret = 16

func (p *parser) secret(variable, value string) {
	p.check(variable, value == "" || len(value) >= minSecret, "must have at least %d characters", minSecret)
}

func (p *parser) positive(variable string, d time.Duration) {
	p.check(variable, d >= 10*time.Millisecond, "must be a positive duration such as 30s")
}
