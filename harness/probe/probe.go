// Package probe looks at a deployed app and its Inngest server from outside, and tells what a stranger could do there.
//
//	findings := probe.Run(ctx, probe.Options{URL: "https://app.example/api/inngest", SigningKey: key, Inngest: api})
//
// It changes nothing. Calls name a function that does not exist. A signed PUT carries the header by which an SDK answers
// it in
// the response, and registers nothing. An unsigned PUT, which an SDK that takes it would answer by registering the app at the
// address in its Host header, has a Host of which no address can be made; and it names a kind of server that there is not,
// which an SDK hands on and by which a server refuses the registration. Where a balancer refuses such a Host, the PUT is sent
// with the true one only if the app has a fixed address, so that it could not be registered elsewhere.
package probe

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// An Outcome is the result of one check.
type Outcome string

// The outcomes.
const (
	OK      Outcome = "ok"
	Wrong   Outcome = "wrong"   // something to mend
	Note    Outcome = "note"    // worth knowing
	Unknown Outcome = "unknown" // it could not be found out
)

// A Finding is what one check found.
type Finding struct {
	Check   string  `json:"check"`
	Outcome Outcome `json:"outcome"`
	What    string  `json:"what"`
	// Why says why it matters, Do what to do. Both are empty where all is well.
	Why string `json:"why,omitempty"`
	Do  string `json:"do,omitempty"`
}

// Options says what to look at. URL is required.
type Options struct {
	// URL is where the app serves its functions, as in https://app.example/api/inngest.
	URL string
	// SigningKey is the app's. Empty: what needs a signature is unknown.
	SigningKey string
	// Inngest is a client of the app's Inngest server, with the signing key. Nil: the server is not looked at.
	Inngest *inngestapi.Client
}

const (
	timeout = 10 * time.Second
	// nobody is a host that cannot exist (RFC 6761), and noHost one of which no address can be made.
	nobody, noHost = "harness-probe.invalid", "%zz"
	// noKind is a kind of server that there is not, noFunction a function.
	noKind, noFunction = "harness-probe", "harness-probe-no-such-function"
)

// Run makes all checks, and returns a finding of each in the sequence of the checks.
func Run(ctx context.Context, o Options) []Finding {
	p := &prober{Options: o, ctx: ctx, client: &http.Client{
		Timeout: timeout,
		// HTTP/1.1 alone: the Host of a request is then what it says.
		Transport: &http.Transport{TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
			DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if p.reachable() {
		p.encrypted()
		p.unsigned()
		p.signed()
		p.unsignedPut()
	}
	if o.Inngest != nil {
		p.registered()
		p.doors()
	}
	return p.findings
}

type prober struct {
	Options
	ctx      context.Context
	client   *http.Client
	findings []Finding

	app   *sdk.Registration // what the app says of itself; nil where it does not
	fixed bool              // it has an address of its own
}

func (p *prober) add(check string, outcome Outcome, what, why, do string) {
	p.findings = append(p.findings, Finding{check, outcome, what, why, do})
}

// answer is what came back.
type answer struct {
	code   int
	status string
	header http.Header
	body   []byte
}

// sdk reports whether an SDK answered. An SDK that refuses a call leaves out its name.
func (a answer) sdk() bool {
	return a.header.Get(sdk.HeaderSDK) != "" || a.header.Get("X-Inngest-Sdk-Handled") != ""
}

func (a answer) refused() bool {
	return a.code == http.StatusUnauthorized || a.code == http.StatusForbidden
}

// unavailable reports whether the answer is that there is none now, which says nothing about what is asked. An SDK's own 500 is an
// answer: it took the call.
func (a answer) unavailable() bool {
	switch a.code {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return a.code >= http.StatusInternalServerError && !a.sdk()
	}
}

// request is what is sent to the app.
type request struct {
	method, host, query string
	key                 string // signs it; empty: unsigned
	at                  time.Time
	body                string
	header              map[string]string
}

func (p *prober) ask(r request) (answer, error) {
	req, err := http.NewRequestWithContext(p.ctx, r.method, p.URL+r.query, strings.NewReader(r.body))
	if err != nil {
		return answer{}, err
	}
	req.Host = cmp.Or(r.host, req.Host)
	req.Header.Set("Content-Type", "application/json")
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	if r.key != "" {
		req.Header.Set(sdk.HeaderSignature, sdk.Sign(r.key, []byte(r.body), r.at))
	}
	return p.do(req)
}

func (p *prober) do(req *http.Request) (answer, error) {
	res, err := p.client.Do(req)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err
		}
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return answer{res.StatusCode, res.Status, res.Header, body}, err
}

// reachable checks that an SDK answers.
func (p *prober) reachable() bool {
	const check = "the app answers"
	a, err := p.ask(request{method: http.MethodGet})
	switch {
	case err != nil:
		p.add(check, Wrong, fmt.Sprintf("nothing answers at %s: %v", p.URL, err), "Inngest cannot call the app there either",
			"start the app, or name its address, with the path of its handler")
		return false
	case !a.sdk():
		p.add(check, Wrong, fmt.Sprintf("what answers at %s (%s) is no Inngest SDK's handler", p.URL, a.status),
			"Inngest would be answered by the same", "name the address with the path at which the handler is mounted, such as /api/inngest")
		return false
	}
	var said struct{ Mode string }
	_ = json.Unmarshal(a.body, &said) // an answer without a mode says nothing about it
	if said.Mode == "dev" {
		p.add(check, Wrong, "the app runs in development mode", "it verifies no signature: anybody who reaches it can have it "+
			"run its functions",
			"unset INNGEST_DEV, and set INNGEST_SIGNING_KEY")
		return true
	}
	p.add(check, OK, "an Inngest SDK answers at "+p.URL, "", "")
	return true
}

func (p *prober) encrypted() {
	u, err := url.Parse(p.URL)
	host := ""
	if err == nil {
		host = u.Hostname()
	}
	ip := net.ParseIP(host)
	switch local := host == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsPrivate()); {
	case u != nil && u.Scheme == "https":
		p.add("TLS", OK, "the connection is encrypted, and the certificate is valid", "", "")
	case local:
		p.add("TLS", Note, "the connection is not encrypted", "on a private network that may be intended", "")
	default:
		p.add("TLS", Wrong, "the connection is not encrypted", "whoever is on the way reads events and what the steps return",
			"serve the app behind TLS, and register it with https://")
	}
}

// unsigned checks that calls without a valid signature are refused.
func (p *prober) unsigned() {
	call := request{method: http.MethodPost, query: "?fnId=" + noFunction + "&stepId=step", body: "{}"}
	const why, do = "anyone who reaches the app can have it run its functions, with events of his own",
		"run it in production mode, with INNGEST_SIGNING_KEY set"
	p.refuses("an unsigned call is refused", call, why, do)
	other := make([]byte, 16)
	_, _ = rand.Read(other) // it never fails
	call.key, call.at = hex.EncodeToString(other), time.Now()
	p.refuses("a call with another key is refused", call, why, do)
	if p.SigningKey == "" {
		p.unsignable("an old signature is refused", "the app answers signed calls")
		return
	}
	call.key, call.at = p.SigningKey, time.Now().Add(-10*time.Minute)
	p.refuses("an old signature is refused", call, "a call that was recorded can be sent again, at any time",
		"update the SDK, and check the machine's clock")
	call.at = time.Now().Add(10 * time.Minute)
	a, err := p.ask(call)
	const future = "a signature from the future is refused"
	switch {
	case err != nil:
		p.add(future, Unknown, "no answer: "+err.Error(), "", "")
	case a.unavailable():
		p.add(future, Unknown, "it answers "+a.status, "", "probe it again")
	case a.refused():
		p.add(future, OK, "it answers "+a.status, "", "")
	default:
		p.add(future, Note, "a signature with a time 10 minutes ahead is taken", "a call that was recorded can be sent again "+
			"for longer than the usual "+
			"5 minutes if the server's clock is ahead", "nothing in the app: the SDK decides it")
	}
}

func (p *prober) refuses(check string, r request, why, do string) {
	a, err := p.ask(r)
	switch {
	case err != nil:
		p.add(check, Unknown, "no answer: "+err.Error(), "", "")
	case a.unavailable():
		p.add(check, Unknown, "it answers "+a.status, "", "probe it again")
	case a.refused():
		p.add(check, OK, "it answers "+a.status, "", "")
	default:
		p.add(check, Wrong, "it answers "+a.status, why, do)
	}
}

func (p *prober) unsignable(checks ...string) {
	for _, check := range checks {
		p.add(check, Unknown, "that needs the signing key", "", "set INNGEST_SIGNING_KEY")
	}
}

// signed asks the app what it is: which functions it has, and whether its address depends on who asks.
func (p *prober) signed() {
	const check, address = "the app answers signed calls", "the app has an address of its own"
	if p.SigningKey == "" {
		p.unsignable(address)
		return
	}
	put := request{
		method: http.MethodPut, key: p.SigningKey, at: time.Now(), body: `{"url":"https://` + nobody + `/api/inngest"}`,
		header: map[string]string{sdk.HeaderSyncKind: sdk.SyncInBand, sdk.HeaderServerKind: noKind},
	}
	a, err := p.ask(put)
	var said sdk.Registration
	switch {
	case err != nil:
		p.add(check, Unknown, "no answer: "+err.Error(), "", "")
		return
	case a.refused():
		p.add(check, Wrong, "it answers a signed PUT with "+a.status, "the app has another signing key than this one, or its "+
			"clock is wrong: it refuses "+
			"Inngest's calls too", "set the app's INNGEST_SIGNING_KEY to the server's key")
		return
	case a.code != http.StatusOK || json.Unmarshal(a.body, &said) != nil || said.App() == "":
		p.add(check, Unknown, "it answers a signed PUT with "+a.status+", and does not say what it is", "", "update the SDK")
		return
	}
	p.app = &said
	p.add(check, OK, fmt.Sprintf("it is %s with %d functions", said.App(), len(said.Functions)), "", "")
	own, err := url.Parse(said.URL)
	switch p.fixed = err == nil && own.Hostname() != nobody; {
	case p.fixed:
		p.add(address, OK, "it registers "+said.URL+", whatever a request says", "", "")
	default:
		p.add(address, Note, "the address that it registers is taken from the request", "where an unsigned PUT is taken too, "+
			"anybody can have events and calls "+
			"go to an address of his own", "set the address: APP_URL or SERVE_URL of this app, INNGEST_SERVE_HOST or "+
			"ServeOpts.Origin of others")
	}
}

// unsignedPut checks that nobody without the key can have the app register itself.
func (p *prober) unsignedPut() {
	const check = "an unsigned PUT is refused"
	put := request{method: http.MethodPut, host: noHost, header: map[string]string{sdk.HeaderServerKind: noKind}}
	a, err := p.ask(put)
	if (err != nil || !a.sdk()) && p.fixed {
		put.host = "" // the app could register its own address only
		a, err = p.ask(put)
	}
	switch {
	case err != nil || !a.sdk():
		p.add(check, Unknown, "a balancer answers a PUT with such a Host, and with another Host the app might be registered "+
			"elsewhere", "",
			"give the app an address of its own, or probe it past the balancer")
	case a.refused():
		p.add(check, OK, "it answers "+a.status, "", "")
	case p.fixed:
		p.add(check, Note, "it is taken ("+a.status+")", "anybody can have the app register itself, though at its own address "+
			"only", "unset INNGEST_ENABLE_UNAUTHED_SYNC")
	default:
		p.add(check, Wrong, "it is taken ("+a.status+"), and the app believes the Host of a request",
			"anyone who reaches the app can register it at an address of "+
				"his own: all events and calls then go there", "unset INNGEST_ENABLE_UNAUTHED_SYNC, and give the app an address of "+
				"its own")
	}
}

// registered checks what the server knows of the app.
func (p *prober) registered() {
	const check = "the app is registered"
	apps, err := p.Inngest.Apps(p.ctx)
	if err != nil {
		p.add(check, Unknown, err.Error(), "", "")
		return
	}
	if p.app == nil {
		p.add(check, Unknown, fmt.Sprintf("the server knows %d apps; which one is meant is not known, since the app does not "+
			"say what it is", len(apps)), "", "")
		return
	}
	for _, a := range apps {
		if a.ID != p.app.App() {
			continue
		}
		what := fmt.Sprintf("%s at %s with %d functions", a.ID, a.URL, a.FunctionCount)
		switch registered := a.FunctionCount == len(p.app.Functions); {
		case a.Error != "":
			p.add(check, Wrong, what+"; its last sync failed: "+a.Error, "the server calls what was registered before",
				"sync the app again")
		case !registered:
			p.add(check, Wrong, fmt.Sprintf("%s; the app has %d", what, len(p.app.Functions)), "events of a function that is not "+
				"registered start nothing",
				"sync the app: `app sync` in the deploy job")
		case p.fixed && a.URL != "" && !sameAddress(a.URL, p.app.URL):
			p.add(check, Wrong, what+"; the app says that it is at "+p.app.URL, "the server calls another address than the app "+
				"has: an old one, or a stranger's",
				"find out who registered it, and sync the app again")
		default:
			p.add(check, OK, what+p.names(), "", "")
		}
		return
	}
	p.add(check, Wrong, fmt.Sprintf("the server does not know %s; it knows %d apps", p.app.App(), len(apps)),
		"events start nothing", "sync the app: `app sync` in the deploy job")
}

// names lists the app's functions.
func (p *prober) names() string {
	var ids []string
	for _, f := range p.app.Functions {
		ids = append(ids, f.ID)
	}
	if len(ids) == 0 {
		return ""
	}
	return ": " + strings.Join(ids, ", ")
}

// sameAddress compares URLs of apps. The server writes localhost for 127.0.0.1.
func sameAddress(a, b string) bool {
	plain := func(address string) string {
		u, err := url.Parse(address)
		if err != nil {
			return address
		}
		u.RawQuery = ""
		return strings.TrimRight(strings.Replace(u.String(), "//localhost", "//127.0.0.1", 1), "/")
	}
	return plain(a) == plain(b)
}

// door is something of the server that strangers must not reach.
type door struct {
	method, path, body string
	why                string
	open               func(answer) bool
}

var doors = []door{
	{http.MethodGet, "/v1/events?limit=1", "", "anybody reads all " +
		"events", func(a answer) bool { return a.code == http.StatusOK }},
	{http.MethodPost, "/v0/gql", `{"query":"{__typename}"}`, "anybody reads all events and runs, starts functions, and has " +
		"the server call any address",
		func(a answer) bool { return a.code == http.StatusOK && bytes.Contains(a.body, []byte("__typename")) }},
	{http.MethodGet, "/mcp", "", "anybody sends events, without an event key", func(a answer) bool {
		// It wants another Accept, or a session; what asks for a key answers otherwise, and a balancer names no kind of server.
		wants := a.code == http.StatusBadRequest || a.code == http.StatusMethodNotAllowed || a.code == http.StatusNotAcceptable
		return a.header.Get(sdk.HeaderServerKind) != "" && (a.code == http.StatusOK || wants)
	}},
	{http.MethodGet, "/metrics", "", "anybody reads how much is going on", func(a answer) bool {
		return a.code == http.StatusOK && bytes.Contains(a.body, []byte("inngest_"))
	}},
	{http.MethodGet, "/debug/pprof/cmdline", "", "anybody reads the server's command line, with the keys that stand there, " +
		"and its memory",
		func(a answer) bool {
			return a.code == http.StatusOK && strings.HasPrefix(a.header.Get("Content-Type"), "text/plain")
		}},
}

// doors checks what the server answers without a key.
func (p *prober) doors() {
	for _, d := range doors {
		path, _, _ := strings.Cut(d.path, "?")
		check := "the server's " + path + " is closed"
		req, err := http.NewRequestWithContext(p.ctx, d.method, p.Inngest.BaseURL()+d.path, strings.NewReader(d.body))
		if err != nil {
			p.add(check, Unknown, err.Error(), "", "")
			continue
		}
		req.Header.Set("Content-Type", "application/json")
		a, err := p.do(req)
		switch {
		case err != nil:
			p.add(check, Unknown, "no answer: "+err.Error(), "", "")
		case a.unavailable():
			p.add(check, Unknown, "without a key it answers "+a.status, "", "probe it again")
		case !d.open(a):
			p.add(check, OK, "without a key it answers "+a.status, "", "")
		case len(bare(p.SigningKey)) >= 8 && bytes.Contains(a.body, []byte(bare(p.SigningKey))):
			p.add(check, Wrong, "without a key it answers "+a.status+", and the answer has the signing key in it",
				"anybody can call the app as the server",
				"rotate the key, give it to the server in INNGEST_SIGNING_KEY and not as a flag, and let "+path+" through to nobody")
		default:
			p.add(check, Wrong, "without a key it answers "+a.status, d.why, "put a balancer in front of the server, and let "+
				""+path+" through to nobody from outside")
		}
	}
}

// bare is a signing key without its prefix.
func bare(key string) string { return key[strings.LastIndex(key, "-")+1:] }
