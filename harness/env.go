package harness

import (
	"net"
	"slices"
)

// Defaults of stacks, taps and clients.
const (
	// DefaultAppPath is where an app serves its Inngest functions.
	DefaultAppPath = "/api/inngest"
	// DefaultRunHeader is the header of an email that holds the id of the run that sent it.
	DefaultRunHeader = "X-Inngest-Run-Id"
)

// DevEventKey is the event key of apps on a stack. The dev server accepts any key.
const DevEventKey = "harness"

// Env is the configuration of an app on a stack. The addresses are those of the recording proxies where the
// stack has them.
type Env struct {
	// Addr is the loopback host:port on which the app listens.
	Addr string
	// AppURL is the base URL at which a person reaches the app.
	AppURL string
	// InngestURL is the base URL of the Inngest server: for events, for registration, for checkpoints.
	InngestURL string
	// EventKey is an event key that the server takes.
	EventKey string
	// Connect says that the app is to connect to the Inngest server, which does not call it at an address.
	Connect bool
	// SigningKey is the server's signing key, for an app in production mode. Empty: development mode.
	SigningKey string
	// MongoURI names the database server and the database that this stack's app uses.
	MongoURI string
	// SMTPAddr is the host:port that takes the app's mail.
	SMTPAddr string
}

// Environ returns the variables that a program in any language reads from its environment, as "KEY=value", sorted.
//
// INNGEST_DEV is a full URL, because some SDKs send checkpoints to it and not to INNGEST_BASE_URL; in production mode it
// is empty, and the variables by which apps and SDKs name their own address are set too. Mail credentials and the signing
// keys of development mode are set and empty, so that neither the caller's environment nor a .env file next to the program
// can hand real ones to MailHog, which logs them. INNGEST_CONNECT=1 says that the app is to connect.
func (e Env) Environ() []string {
	host, port := splitAddr(e.SMTPAddr)
	_, listen := splitAddr(e.Addr)
	dev := e.InngestURL
	if e.SigningKey != "" {
		dev = ""
	}
	vars := []string{
		"APP_URL=" + e.AppURL,
		"INNGEST_BASE_URL=" + e.InngestURL,
		"INNGEST_DEV=" + dev,
		"INNGEST_EVENT_KEY=" + e.EventKey,
		"INNGEST_SIGNING_KEY=" + e.SigningKey,
		"INNGEST_SIGNING_KEY_FALLBACK=",
		"MAIL_HOST=" + host,
		"MAIL_PASS=",
		"MAIL_PORT=" + port,
		"MAIL_USER=",
		"MONGODB_URI=" + e.MongoURI,
		"PORT=" + listen,
	}
	if e.SigningKey != "" {
		vars = append(vars, "HOST=127.0.0.1") // some apps listen on all interfaces in production mode
	}
	if e.SigningKey != "" && e.AppURL != "" {
		vars = append(vars, "INNGEST_SERVE_HOST="+e.AppURL, "INNGEST_SERVE_ORIGIN="+e.AppURL, "SERVE_URL="+e.AppURL)
	}
	if e.Connect {
		vars = append(vars, "INNGEST_CONNECT=1")
	}
	slices.Sort(vars)
	return vars
}

// splitAddr splits an address that the harness made; it cannot fail.
func splitAddr(addr string) (host, port string) {
	host, port, _ = net.SplitHostPort(addr)
	return host, port
}
