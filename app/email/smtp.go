package email

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	gosmtp "github.com/wneessen/go-mail/smtp"
)

// SMTPOptions configure an SMTP client. Host and Port are required.
type SMTPOptions struct {
	Host string
	Port int

	// User and Pass are the credentials for AUTH with PLAIN or LOGIN. Empty User: no AUTH. They are sent only over an
	// encrypted connection or to this machine's loopback interface.
	User, Pass string

	// Timeout limits each phase of the dialogue, not the whole dialogue. Zero: 10 s.
	Timeout time.Duration

	// ImplicitTLS encrypts the connection from the first byte. It is always on for port 465. False: the connection is
	// encrypted if the server offers STARTTLS. The server's certificate must be valid in both cases.
	ImplicitTLS bool

	// TLSConfig is for both kinds of TLS. Nil: the system's root certificates, TLS 1.2 or newer. The default ServerName is
	// Host.
	TLSConfig *tls.Config
}

// SMTP sends messages to one SMTP server. It keeps no connection, needs no closing and is safe for concurrent use.
type SMTP struct {
	options   SMTPOptions
	address   string
	localName string
}

const (
	defaultTimeout = 10 * time.Second
	implicitPort   = 465 // RFC 8314, 7.3

	// quitTimeout is short: the message is delivered, and the caller has to record that.
	quitTimeout = 500 * time.Millisecond
)

// NewSMTP returns an SMTP. It does not connect. It returns an error if the options are not valid.
func NewSMTP(o SMTPOptions) (*SMTP, error) {
	switch {
	case o.Host == "":
		return nil, errors.New("SMTP server: the host is missing")
	case strings.ContainsAny(o.Host, " \t\r\n/"):
		return nil, fmt.Errorf("SMTP server: %q is not a host name or IP address", o.Host)
	case o.Port < 1 || o.Port > 65535:
		return nil, fmt.Errorf("SMTP server: port %d is not between 1 and 65535", o.Port)
	case o.Timeout < 0:
		return nil, fmt.Errorf("SMTP server: timeout %v is negative", o.Timeout)
	case o.User == "" && o.Pass != "":
		return nil, errors.New("SMTP server: there is a password but no user")
	}
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	o.ImplicitTLS = o.ImplicitTLS || o.Port == implicitPort
	if o.TLSConfig == nil {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	o.TLSConfig = o.TLSConfig.Clone()
	o.TLSConfig.ServerName = cmp.Or(o.TLSConfig.ServerName, o.Host)
	return &SMTP{
		options:   o,
		address:   net.JoinHostPort(o.Host, strconv.Itoa(o.Port)),
		localName: localName(),
	}, nil
}

// localName returns the name of this machine for EHLO.
func localName() string {
	if name, err := os.Hostname(); err == nil && atomForm.MatchString(name) {
		return name
	}
	return "localhost"
}

// Send sends one message. It returns nil if the server has accepted the message; every error is a *SendError. When ctx
// ends, Send stops at once and the error wraps the context's cause.
func (s *SMTP) Send(ctx context.Context, m *Message) error {
	d := &dialogue{SMTP: s}
	if err := d.prepare(m); err != nil {
		return &SendError{Phase: PhaseMessage, Permanent: true, Server: s.address, Err: err}
	}
	defer d.close()
	for _, step := range d.steps() {
		if err := d.take(ctx, step); err != nil {
			return newSendError(ctx, s.address, step.phase, s.options.Timeout, err)
		}
	}
	d.quit()
	return nil
}

// dialogue is the sending of one message.
type dialogue struct {
	*SMTP
	from, to string // addresses of the envelope, in angle brackets
	raw      bytes.Buffer

	plain  net.Conn // the TCP connection, also under TLS
	conn   net.Conn // the connection of the client: plain, or TLS over it
	client *gosmtp.Client
	text   io.WriteCloser // for the text of the message
	forget func() bool    // stops watching the context
}

func (d *dialogue) prepare(m *Message) error {
	from, to, err := m.addresses()
	if err != nil {
		return err
	}
	d.from, d.to = "<"+from.Address+">", "<"+to.Address+">"
	_, err = m.WriteTo(&d.raw)
	return err
}

type step struct {
	phase string
	do    func(context.Context) error
}

func (d *dialogue) steps() []step {
	steps := []step{{PhaseConnect, d.connect}}
	if d.options.ImplicitTLS {
		steps = append(steps, step{PhaseTLS, d.implicitTLS})
	}
	steps = append(steps, step{PhaseGreeting, d.greeting}, step{PhaseHello, d.hello})
	if !d.options.ImplicitTLS {
		steps = append(steps, step{PhaseTLS, d.startTLS})
	}
	return append(steps,
		step{PhaseAuth, d.auth}, step{PhaseMail, d.mail}, step{PhaseRcpt, d.rcpt},
		step{PhaseData, d.data}, step{PhaseAccept, d.accept})
}

func (d *dialogue) take(ctx context.Context, s step) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if d.plain != nil {
		if err := d.plain.SetDeadline(time.Now().Add(d.options.Timeout)); err != nil {
			return err
		}
	}
	return s.do(ctx)
}

func (d *dialogue) connect(ctx context.Context) error {
	dialer := net.Dialer{Timeout: d.options.Timeout}
	conn, err := dialer.DialContext(ctx, "tcp", d.address)
	if err != nil {
		return err
	}
	d.plain, d.conn = conn, conn
	d.forget = context.AfterFunc(ctx, func() { _ = conn.Close() })
	return nil
}

func (d *dialogue) implicitTLS(ctx context.Context) error {
	conn := tls.Client(d.plain, d.options.TLSConfig)
	d.conn = conn
	return conn.HandshakeContext(ctx)
}

func (d *dialogue) greeting(context.Context) (err error) {
	d.client, err = gosmtp.NewClient(d.conn, d.options.Host)
	return err
}

func (d *dialogue) hello(context.Context) error {
	err := d.client.Hello(d.localName)
	// The client tries HELO after a failed EHLO and returns both errors. Use the last reply.
	var both interface{ Unwrap() []error }
	if errors.As(err, &both) {
		for _, e := range slices.Backward(both.Unwrap()) {
			if reply, ok := errors.AsType[*textproto.Error](e); ok {
				return reply
			}
		}
	}
	return err
}

func (d *dialogue) startTLS(context.Context) error {
	if offered, _ := d.client.Extension("STARTTLS"); !offered {
		return nil
	}
	return d.client.StartTLS(d.options.TLSConfig)
}

func (d *dialogue) auth(context.Context) error {
	user, pass := d.options.User, d.options.Pass
	if user == "" {
		return nil
	}
	// The client library decides by the host's name whether it is this machine. The connection's address is reliable.
	if _, encrypted := d.client.TLSConnectionState(); !encrypted && !d.loopback() {
		return errors.New("refusing to send the password: the server offers no encryption (STARTTLS) and is not on this machine")
	}
	offered, mechanisms := d.client.Extension("AUTH")
	if !offered {
		return errors.New("a user is configured, but the server offers no AUTH")
	}
	var auth gosmtp.Auth
	for mechanism := range strings.FieldsSeq(strings.ToUpper(mechanisms)) {
		switch {
		case mechanism == "PLAIN":
			auth = gosmtp.PlainAuth("", user, pass, d.options.Host, true)
		case mechanism == "LOGIN" && auth == nil:
			auth = gosmtp.LoginAuth(user, pass, d.options.Host, true)
		}
	}
	if auth == nil {
		return fmt.Errorf("a user is configured, but of the server's AUTH mechanisms (%s) none is PLAIN or LOGIN", mechanisms)
	}
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	return withoutSecrets(d.client.Auth(auth), pass, encode(pass), encode("\x00"+user+"\x00"+pass))
}

func (d *dialogue) loopback() bool {
	addr, ok := d.plain.RemoteAddr().(*net.TCPAddr)
	return ok && addr.IP.IsLoopback()
}

func (d *dialogue) mail(context.Context) error {
	needed := !isASCII(d.from) || !isASCII(d.to)
	if offered, _ := d.client.Extension("SMTPUTF8"); needed && !offered {
		return fmt.Errorf("%s or %s has letters outside ASCII before the @, and the server takes no such addresses (SMTPUTF8)", d.from, d.to)
	}
	d.client.SkipSMTPUTF8(!needed)
	return d.client.Mail(d.from)
}

func (d *dialogue) rcpt(context.Context) error { return d.client.Rcpt(d.to) }

func (d *dialogue) data(context.Context) error {
	text, err := d.client.Data()
	if err != nil {
		return err
	}
	d.text = text
	_, err = text.Write(d.raw.Bytes())
	return err
}

func (d *dialogue) accept(context.Context) error { return d.text.Close() }

// quit ends the session. Errors are ignored: the message is delivered.
func (d *dialogue) quit() {
	if err := d.plain.SetDeadline(time.Now().Add(min(quitTimeout, d.options.Timeout))); err == nil {
		_ = d.client.Quit()
	}
}

func (d *dialogue) close() {
	if d.plain != nil {
		d.forget()
		_ = d.plain.Close()
	}
}
