package config

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/mail"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"
	_ "time/tzdata" // time zones also where the system has no database of them, as in an image made from scratch

	"github.com/caarlos0/env/v11"
	"github.com/joho/godotenv"

	"github.com/odoo-maintenance/inngest-harness/app/mongostore"
)

// Environment is what the environment says, as strings and numbers, each field with its variable. Table documents them.
type Environment struct {
	InngestDev         string `env:"INNGEST_DEV" doc:"1 or the dev server's URL: development mode. Unset: production mode."`
	InngestBaseURL     string `env:"INNGEST_BASE_URL" doc:"Inngest server that events, registrations and checkpoints go to." dev:"the URL in INNGEST_DEV, or http://127.0.0.1:8288" prod:"Inngest Cloud"`
	InngestEventURL    string `env:"INNGEST_EVENT_API_BASE_URL" doc:"The same for events alone." dev:"INNGEST_BASE_URL" prod:"INNGEST_BASE_URL"`
	InngestAPIURL      string `env:"INNGEST_API_BASE_URL" doc:"The same for registrations and checkpoints alone." dev:"INNGEST_BASE_URL" prod:"INNGEST_BASE_URL"`
	InngestEventKey    string `env:"INNGEST_EVENT_KEY" doc:"Key that authorises sending events." prod:"required"`
	SigningKey         string `env:"INNGEST_SIGNING_KEY" doc:"Key that calls from Inngest are signed with (hexadecimal, with or without signkey-…- in front)." prod:"required"`
	SigningKeyFallback string `env:"INNGEST_SIGNING_KEY_FALLBACK" doc:"The previous key, while keys are rotated."`
	UnsignedSync       bool   `env:"INNGEST_ENABLE_UNAUTHED_SYNC" doc:"true: an unsigned PUT may register the app, which the poll of a self-hosted server needs." dev:"true" prod:"false"`

	MongoDBURI string `env:"MONGODB_URI" doc:"Database; the name in the path defaults to maintenance." dev:"mongodb://127.0.0.1:27017/maintenance" prod:"required"`

	MailHost    string        `env:"MAIL_HOST" doc:"SMTP server." dev:"127.0.0.1" prod:"required"`
	MailPort    int           `env:"MAIL_PORT" doc:"Its port. 465 means implicit TLS; on others STARTTLS is used when offered." dev:"1025" prod:"587"`
	MailUser    string        `env:"MAIL_USER" doc:"SMTP user. Unset: no AUTH."`
	MailPass    string        `env:"MAIL_PASS" doc:"SMTP password."`
	MailFrom    string        `env:"MAIL_FROM" doc:"Sender, with or without a display name." dev:"Maintenance <maintenance@localhost.test>" prod:"required"`
	MailTimeout time.Duration `env:"MAIL_TIMEOUT" envDefault:"30s" doc:"Time one whole delivery may take; a phase of it may take a third."`

	Host     string `env:"HOST" doc:"Address to listen on." dev:"127.0.0.1" prod:"all"`
	Port     int    `env:"PORT" envDefault:"3000" doc:"Port to listen on; 0: any free one."`
	AppURL   string `env:"APP_URL" doc:"URL under which people reach the app; emails link to it." dev:"http://localhost:PORT" prod:"required"`
	APIToken string `env:"API_TOKEN" doc:"Bearer token of the requests API, at least 16 characters. Unset in development: no token is asked for." prod:"required"`
	LinkKey  string `env:"LINK_KEY" doc:"Key that signs the links in emails, at least 16 characters." dev:"derived from API_TOKEN" prod:"derived from API_TOKEN"`

	TimeZone        string        `env:"TIME_ZONE" envDefault:"UTC" doc:"Zone that schedules are written in, an IANA name such as Europe/Berlin."`
	RedispatchAfter time.Duration `env:"REDISPATCH_AFTER" envDefault:"40m" doc:"Time after which an unfinished notification is taken for lost and dispatched again. At least as long as a run can take with all its retries, or runs overtake each other, which is harmless but noisy."`
	ShutdownTimeout time.Duration `env:"SHUTDOWN_TIMEOUT" envDefault:"8s" doc:"Time to finish what is in flight when told to stop; less than the 10 s that container runtimes grant."`
	LogLevel        slog.Level    `env:"LOG_LEVEL" envDefault:"info" doc:"debug, info, warn or error."`
}

// Config is a valid configuration. Get one from Load or Parse.
type Config struct {
	// Dev is development mode.
	Dev bool
	// EventURL and APIURL are the base URLs of the Inngest server.
	EventURL, APIURL string
	EventKey         string
	// SigningKey and SigningKeyFallback are empty or well-formed.
	SigningKey, SigningKeyFallback string
	AllowUnsignedSync              bool

	MongoDBURI string

	MailHost           string
	MailPort           int
	MailUser, MailPass string
	MailFrom           mail.Address
	MailTimeout        time.Duration

	// Host to listen on; empty: all addresses. Port 0: a free one.
	Host   string
	Port   int
	AppURL *url.URL

	// APIToken is never empty in production.
	APIToken string
	LinkKey  string

	TimeZone        *time.Location
	RedispatchAfter time.Duration
	ShutdownTimeout time.Duration
	LogLevel        slog.Level
}

// Load reads the process's environment and, in development mode, the .env file in the working directory.
func Load() (Config, error) {
	environ := env.ToMap(os.Environ())
	file, err := godotenv.Read(".env")
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return Config{}, fmt.Errorf("read .env: %w", err)
	default:
		merged := maps.Clone(file)
		maps.Copy(merged, environ) // what is set stays, also when it is set to nothing
		if merged["INNGEST_DEV"] != "" {
			environ = merged
		}
	}
	return Parse(environ)
}

// Parse makes a Config of variables. Its error lists every problem on a line of its own.
func Parse(environ map[string]string) (Config, error) {
	p := parser{}
	var e Environment
	p.environment(environ, &e)

	c := Config{
		Dev:               e.InngestDev != "",
		EventKey:          e.InngestEventKey,
		AllowUnsignedSync: e.UnsignedSync,
		MailUser:          e.MailUser,
		MailPass:          e.MailPass,
		MailTimeout:       e.MailTimeout,
		Port:              e.Port,
		APIToken:          e.APIToken,
		LinkKey:           e.LinkKey,
		RedispatchAfter:   e.RedispatchAfter,
		ShutdownTimeout:   e.ShutdownTimeout,
		LogLevel:          e.LogLevel,
	}
	p.dev = c.Dev
	p.inngest(e, &c)
	p.database(e, &c)
	p.mail(e, &c)
	p.web(e, &c)
	p.times(e, &c)
	if len(p.problems) > 0 {
		mode := "development mode, since INNGEST_DEV is set"
		if !c.Dev {
			mode = "production mode, since INNGEST_DEV is not set; no .env file is read"
		}
		return Config{}, fmt.Errorf("the configuration is not valid (%s):\n  %s", mode, strings.Join(p.problems, "\n  "))
	}
	return c, nil
}

// parser gathers problems.
type parser struct {
	dev      bool
	problems []string
}

func (p *parser) problem(variable, format string, args ...any) {
	p.problems = append(p.problems, variable+": "+fmt.Sprintf(format, args...))
}

// or returns value, or else the default for development; in production its absence is a problem.
func (p *parser) or(variable, value, dev string) string {
	if value == "" && p.dev {
		return dev
	}
	if value == "" {
		p.problem(variable, "is required")
	}
	return value
}

func (p *parser) environment(environ map[string]string, e *Environment) {
	// A variable that is set to nothing is a variable that is not set.
	environ = maps.Clone(environ)
	maps.DeleteFunc(environ, func(_, value string) bool { return value == "" })
	err := env.ParseWithOptions(e, env.Options{Environment: environ})
	if err == nil {
		return
	}
	var all env.AggregateError
	if !errors.As(err, &all) {
		p.problems = append(p.problems, err.Error())
		return
	}
	for _, err := range all.Errors {
		if field, ok := errors.AsType[env.ParseError](err); ok {
			// The field's value is not repeated: somebody may have put a secret into the wrong variable.
			p.problem(variableOf(field.Name), "is not a valid %s", typeName(field.Type.String()))
			continue
		}
		p.problems = append(p.problems, err.Error())
	}
}

func typeName(goType string) string {
	switch goType {
	case "int":
		return "number"
	case "bool":
		return "true or false"
	case "time.Duration":
		return "duration such as 30s or 5m"
	case "slog.Level":
		return "level (debug, info, warn, error)"
	}
	return goType
}

const (
	devServer  = "http://127.0.0.1:8288"
	cloudEvent = "https://inn.gs"
	cloudAPI   = "https://api.inngest.com"
)

func (p *parser) inngest(e Environment, c *Config) {
	base := e.InngestBaseURL
	switch strings.ToLower(e.InngestDev) {
	case "", "1", "true":
	case "0", "false", "no", "off":
		p.problem("INNGEST_DEV", "is %q: unset it for production mode; the SDK takes any value for development mode", e.InngestDev)
	default:
		p.url("INNGEST_DEV", e.InngestDev)
		base = firstOf(base, e.InngestDev)
	}
	c.EventURL, c.APIURL = firstOf(e.InngestEventURL, base), firstOf(e.InngestAPIURL, base)
	if c.Dev {
		c.EventURL, c.APIURL = firstOf(c.EventURL, devServer), firstOf(c.APIURL, devServer)
	} else {
		c.EventURL, c.APIURL = firstOf(c.EventURL, cloudEvent), firstOf(c.APIURL, cloudAPI)
	}
	p.url("INNGEST_BASE_URL", e.InngestBaseURL)
	p.url("INNGEST_EVENT_API_BASE_URL", e.InngestEventURL)
	p.url("INNGEST_API_BASE_URL", e.InngestAPIURL)

	c.EventKey = p.or("INNGEST_EVENT_KEY", e.InngestEventKey, "dev")
	c.SigningKey = p.or("INNGEST_SIGNING_KEY", e.SigningKey, "")
	c.SigningKeyFallback = e.SigningKeyFallback
	p.signingKey("INNGEST_SIGNING_KEY", c.SigningKey)
	p.signingKey("INNGEST_SIGNING_KEY_FALLBACK", c.SigningKeyFallback)
}

var signingKeyForm = regexp.MustCompile(`^(signkey-\w+-)?([0-9a-fA-F]{2})+$`)

func (p *parser) signingKey(variable, key string) {
	if key != "" && !signingKeyForm.MatchString(key) {
		p.problem(variable, "must be an even number of hexadecimal digits, with or without signkey-…- in front")
	}
}

func (p *parser) database(e Environment, c *Config) {
	c.MongoDBURI = p.or("MONGODB_URI", e.MongoDBURI, "mongodb://127.0.0.1:27017/"+mongostore.DefaultDatabase)
	if c.MongoDBURI == "" {
		return
	}
	if _, err := mongostore.Parse(c.MongoDBURI); err != nil {
		p.problem("MONGODB_URI", "%v", err)
	}
}

func (p *parser) mail(e Environment, c *Config) {
	c.MailHost = p.or("MAIL_HOST", e.MailHost, "127.0.0.1")
	c.MailPort = e.MailPort
	if c.MailPort == 0 {
		c.MailPort = map[bool]int{true: 1025, false: 587}[p.dev]
	}
	if c.MailPort < 1 || c.MailPort > 65535 {
		p.problem("MAIL_PORT", "must be between 1 and 65535")
	}
	if e.MailPass != "" && e.MailUser == "" {
		p.problem("MAIL_USER", "is required when MAIL_PASS is set")
	}
	from := p.or("MAIL_FROM", e.MailFrom, "Maintenance <maintenance@localhost.test>")
	if from == "" {
		return
	}
	address, err := mail.ParseAddress(from)
	if err != nil {
		p.problem("MAIL_FROM", "must be an email address, with or without a name: Maintenance <maintenance@plant.example>")
		return
	}
	c.MailFrom = *address
}

func (p *parser) web(e Environment, c *Config) {
	c.Host = e.Host
	if c.Host == "" && p.dev {
		c.Host = "127.0.0.1"
	}
	if c.Port < 0 || c.Port > 65535 {
		p.problem("PORT", "must be between 0 and 65535")
	}
	appURL := p.or("APP_URL", e.AppURL, fmt.Sprintf("http://localhost:%d", c.Port))
	if u := p.url("APP_URL", appURL); u != nil {
		u.Path = strings.TrimRight(u.Path, "/")
		c.AppURL = u
	}
	p.or("API_TOKEN", e.APIToken, "")
	p.secret("API_TOKEN", e.APIToken)
	p.secret("LINK_KEY", e.LinkKey)
}

// minSecret keeps somebody from shipping "secret".
const minSecret = 16

func (p *parser) secret(variable, value string) {
	if value != "" && len(value) < minSecret {
		p.problem(variable, "must have at least %d characters", minSecret)
	}
}

func (p *parser) url(variable, value string) *url.URL {
	if value == "" {
		return nil
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		p.problem(variable, "must be an http:// or https:// URL without user, query and fragment")
		return nil
	}
	return u
}

func (p *parser) times(e Environment, c *Config) {
	zone, err := time.LoadLocation(e.TimeZone)
	if err != nil || e.TimeZone == "Local" {
		p.problem("TIME_ZONE", "must be an IANA time zone such as Europe/Berlin")
	}
	c.TimeZone = zone
	p.positive("MAIL_TIMEOUT", c.MailTimeout)
	p.positive("REDISPATCH_AFTER", c.RedispatchAfter)
	p.positive("SHUTDOWN_TIMEOUT", c.ShutdownTimeout)
}

func (p *parser) positive(variable string, d time.Duration) {
	if d < 10*time.Millisecond {
		p.problem(variable, "must be a positive duration such as 30s")
	}
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
