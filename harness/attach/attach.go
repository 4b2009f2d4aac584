package attach

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/bridge"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/endpoint"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/mongouri"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/statefile"
)

// The variables that name servers.
const (
	EnvInngest     = "HARNESS_INNGEST_URL"
	EnvMail        = "HARNESS_MAIL_URL"
	EnvSMTP        = "HARNESS_SMTP_ADDR"
	EnvMongo       = "HARNESS_MONGO_URI"
	EnvProject     = "HARNESS_COMPOSE_PROJECT"
	EnvStack       = statefile.EnvStack
	EnvAllowRemote = "HARNESS_ALLOW_REMOTE"
)

// Options says which servers to attach to. The zero value takes them from the environment, else from the state file.
type Options struct {
	// Endpoints are the servers themselves. Empty: looked for elsewhere; otherwise the addresses of all four are required,
	// unless the stack needs some of them only.
	Endpoints harness.Endpoints
	// Project is a Docker Compose project with the services mongo, mailhog and inngest. Empty:
	// HARNESS_COMPOSE_PROJECT.
	Project string
	// Dir is the directory of a `harness up`, which counts before what the environment names. Empty: HARNESS_STACK, else the
	// working directory, or the nearest above it that has a stack.
	Dir string
	// OwnApp ignores an app that runs already: the stack runs its own, with another name. False: the stack uses the app of
	// the state file or of the compose project.
	OwnApp bool
	// AllowRemote allows servers that are not on loopback. False: HARNESS_ALLOW_REMOTE decides.
	AllowRemote bool
}

// Backend attaches to servers that run already. It is safe for concurrent use.
type Backend struct{ o Options }

// New returns the backend. It looks for no servers yet.
func New(o Options) *Backend {
	o.Project = cmp.Or(o.Project, os.Getenv(EnvProject))
	o.AllowRemote = o.AllowRemote || os.Getenv(EnvAllowRemote) == "1"
	return &Backend{o}
}

// Name implements [harness.Backend].
func (*Backend) Name() string { return "attach" }

// Start implements [harness.Backend]: it finds the servers that o.Services names and checks that each answers as one of its
// kind. Of these, the mailbox may be missing. It ignores the ports in o.
func (b *Backend) Start(ctx context.Context, o harness.BackendOptions) (harness.Servers, error) {
	if o.Keys != (harness.Keys{}) {
		return nil, fmt.Errorf("start a self-hosted Inngest server: %w, which takes the one that is up: use the local backend", harness.ErrUnsupported)
	}
	for _, s := range o.Services {
		if s != harness.ServiceInngest && s != harness.ServiceMailHog {
			return nil, fmt.Errorf("attach to some of the servers only, %s among them: %w: use the local or the containers backend", s, harness.ErrUnsupported)
		}
	}
	found, err := b.find(ctx)
	if err != nil {
		return nil, err
	}
	named := found.ends
	if found, err = found.complete(o.Services); err != nil {
		return nil, err
	}
	if !b.o.AllowRemote {
		if err := found.requireLoopback(); err != nil {
			return nil, err
		}
	}
	what, err := found.check(ctx)
	if err != nil {
		return nil, err
	}
	if o.ReplicaSet {
		name, err := endpoint.MongoReplicaSet(ctx, found.ends.Mongo)
		if err == nil && name == "" {
			err = fmt.Errorf("run MongoDB as a replica set: %w, which takes the one that is up, and that is none", harness.ErrUnsupported)
		}
		if err != nil {
			return nil, err
		}
	}
	if b.o.OwnApp {
		found.app = nil
	}
	secrets, err := b.secrets(ctx, named)
	if err != nil {
		return nil, err
	}
	s := &servers{target: found, secrets: secrets, kinds: what}
	s.hasPage = found.ends.Inngest != "" && endpoint.HasPage(ctx, found.ends.Inngest)
	if found.ends.Inngest == "" || len(o.Services) > 0 {
		return s, nil // no app will run on them
	}
	if gateway, ok := gatewayOf(ctx, found.ends.Inngest); ok {
		s.bridge = bridge.New(gateway)
	}
	return s, nil
}

// target are the servers to attach to, and where they were found.
type target struct {
	ends   harness.Endpoints
	source string
	fix    string       // what to do when one of them does not answer
	app    *harness.Env // the app that runs on them; nil if there is none or it is not known
}

// InEnvironment reports whether the environment names servers or a compose project, instead of the stack that is up here.
func InEnvironment() bool {
	return fromEnvironment() != (harness.Endpoints{}) || os.Getenv(EnvProject) != ""
}

func fromEnvironment() harness.Endpoints {
	return harness.Endpoints{
		Inngest: strings.TrimRight(os.Getenv(EnvInngest), "/"), MailHog: strings.TrimRight(os.Getenv(EnvMail), "/"),
		SMTP: os.Getenv(EnvSMTP), Mongo: os.Getenv(EnvMongo),
	}
}

func (b *Backend) find(ctx context.Context) (target, error) {
	if b.o.Endpoints != (harness.Endpoints{}) {
		return target{ends: b.o.Endpoints, source: "given by the program", fix: "start it, or correct its address"}, nil
	}
	if b.o.Dir != "" {
		return b.ofState()
	}
	if env := fromEnvironment(); env != (harness.Endpoints{}) {
		// These keys belong to a server that is named here, too: a dev server that is up here needs none.
		env.Keys = harness.Keys{Event: os.Getenv(inngestapi.EnvEventKey), Signing: os.Getenv(inngestapi.EnvSigningKey)}
		return target{ends: env, source: "named by the environment", fix: "start it, or correct the variable"}, nil
	}
	if b.o.Project != "" {
		return ofProject(ctx, b.o.Project)
	}
	return b.ofState()
}

// state returns the stack of a `harness up`, and its directory.
func (b *Backend) state() (statefile.State, string, error) {
	return statefile.Find(cmp.Or(b.o.Dir, os.Getenv(EnvStack)))
}

func (b *Backend) ofState() (target, error) {
	state, where, err := b.state()
	if err != nil {
		return target{}, fmt.Errorf("attach to a stack: %w; or name its servers with %s, %s, %s and %s, or a compose project with %s",
			err, EnvInngest, EnvMail, EnvSMTP, EnvMongo, EnvProject)
	}
	t := target{ends: state.Endpoints(), source: fmt.Sprintf("of the stack up in %s (process %d)", where, state.PID), fix: "see harness status"}
	if state.App.URL != "" {
		env := state.Env()
		t.app = &env
	}
	return t, nil
}

// secrets returns what the process that keeps the servers up knows as the app's secrets; none where it is no `harness up`
// of this directory.
func (b *Backend) secrets(ctx context.Context, ends harness.Endpoints) (all []string, err error) {
	state, _, err := b.state()
	if err != nil || state.Inngest.URL != ends.Inngest || state.API.URL == "" {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, secretsTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, state.API.URL+"/secrets", nil)
	if err == nil {
		req.Close = true
		req.Header.Set("Authorization", "Bearer "+state.API.Token)
		var res *http.Response
		if res, err = http.DefaultClient.Do(req); err == nil {
			defer res.Body.Close()
			err = json.NewDecoder(io.LimitReader(res.Body, 16<<20)).Decode(&all)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("ask process %d, which keeps the stack up, what to mask: %w", state.PID, withoutURL(err))
	}
	return all, nil
}

// secretsTimeout bounds an answer from a process of this machine.
const secretsTimeout = 5 * time.Second

// ErrNoStack says that no `harness up` keeps a stack up there.
var ErrNoStack = statefile.ErrNoStack

// Find returns the servers of the stack that a `harness up` keeps up, in the directory that HARNESS_STACK names, else in
// the working directory or above it, and the configuration of its app, which is zero where the stack runs none. The error is
// [ErrNoStack] where there is no stack.
func Find() (ends harness.Endpoints, app harness.Env, err error) {
	state, _, err := statefile.Find(os.Getenv(EnvStack))
	if err != nil {
		return harness.Endpoints{}, harness.Env{}, err
	}
	if state.App.URL != "" {
		app = state.Env()
	}
	return state.Endpoints(), app, nil
}

func ofProject(ctx context.Context, name string) (target, error) {
	p, err := findProject(ctx, name)
	if err != nil {
		return target{}, err
	}
	ends, err := p.endpoints()
	if err != nil {
		return target{}, err
	}
	app, err := p.app(ends)
	return target{ends: ends, app: app, source: "of the compose project " + name, fix: "see docker compose -p " + name + " ps"}, err
}

// complete leaves the servers that are needed, and checks that they are named: all of them, or some services, of which the
// mailbox may be missing. It removes the database from MongoDB's address, since a stack has its own.
func (t target) complete(services []harness.Service) (target, error) {
	if len(services) > 0 {
		return t.only(services)
	}
	var missing []string
	for _, e := range []struct{ value, name string }{
		{t.ends.Inngest, "Inngest (" + EnvInngest + ")"}, {t.ends.MailHog, "the mailbox (" + EnvMail + ")"},
		{t.ends.SMTP, "SMTP (" + EnvSMTP + ")"}, {t.ends.Mongo, "MongoDB (" + EnvMongo + ")"},
	} {
		if e.value == "" {
			missing = append(missing, e.name)
		}
	}
	if len(missing) > 0 {
		return target{}, fmt.Errorf("attach to the servers %s: no address for %s; name all four", t.source, strings.Join(missing, ", "))
	}
	server, err := mongouri.Server(t.ends.Mongo)
	if err != nil {
		return target{}, fmt.Errorf("attach to the servers %s: %w", t.source, err)
	}
	t.ends.Mongo = server
	return t, nil
}

// only leaves the named services: Inngest, which must be named, and the mailbox, which may be missing.
func (t target) only(services []harness.Service) (target, error) {
	ends := t.ends
	t.ends = harness.Endpoints{Keys: ends.Keys}
	for _, s := range services {
		switch s {
		case harness.ServiceInngest:
			if t.ends.Inngest = ends.Inngest; ends.Inngest == "" {
				return target{}, fmt.Errorf("attach to the servers %s: no address for Inngest: set %s", t.source, EnvInngest)
			}
		case harness.ServiceMailHog:
			t.ends.MailHog = ends.MailHog
		}
	}
	return t, nil
}

// requireLoopback refuses servers that are not on this machine, which other people may be using.
func (t target) requireLoopback() error {
	var errs []error
	for _, e := range []struct{ name, address string }{
		{"Inngest", t.ends.Inngest}, {"the mailbox", t.ends.MailHog}, {"SMTP", "smtp://" + t.ends.SMTP}, {"MongoDB", t.ends.Mongo},
	} {
		if e.address == "" || e.address == "smtp://" {
			continue
		}
		u, err := url.Parse(e.address)
		if err != nil {
			errs = append(errs, fmt.Errorf("the address of %s is not valid: %w", e.name, withoutURL(err)))
			continue
		}
		// A MongoDB address may name several hosts.
		for _, host := range strings.Split(u.Host, ",") {
			if !isLoopback(host) {
				errs = append(errs, fmt.Errorf("%s at %s is not on this machine's loopback interface, and tests would send events and mail and write data there: "+
					"if that is what you want, set %s=1", e.name, host, EnvAllowRemote))
			}
		}
	}
	return errors.Join(errs...)
}

// withoutURL removes the URL, which may contain a password, from an error of url.Parse.
func withoutURL(err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}

func isLoopback(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// kinds say what the servers are.
type kinds struct {
	database endpoint.Database
	mail     harness.MailCatcher // empty: a mailbox of a mail server
	mailPage bool                // the mail catcher has its web page
}

// check checks concurrently that every server answers as one of its kind.
func (t target) check(ctx context.Context) (found kinds, _ error) {
	checks := []struct {
		name, address string
		look          func() error
	}{
		{"MongoDB", t.ends.Mongo, func() (err error) { found.database, err = endpoint.Mongo(ctx, t.ends.Mongo); return err }},
		{"the mailbox", t.ends.MailHog, func() (err error) {
			found.mail, err = endpoint.Mailbox(ctx, t.ends.MailHog)
			found.mailPage = found.mail != "" && endpoint.HasMailPage(ctx, found.mail, t.ends.MailHog)
			return err
		}},
		{"SMTP", t.ends.SMTP, func() error { return endpoint.SMTP(ctx, t.ends.SMTP) }},
		{"Inngest", t.ends.Inngest, func() error { return endpoint.AnyInngest(ctx, t.ends.Inngest) }},
	}
	errs := make([]error, len(checks))
	var all sync.WaitGroup
	for i, c := range checks {
		if c.address == "" {
			continue
		}
		all.Go(func() {
			if err := c.look(); err != nil {
				errs[i] = fmt.Errorf("%s %s does not answer (%w): %s", c.name, t.source, err, t.fix)
			}
		})
	}
	all.Wait()
	return found, errors.Join(errs...)
}
