package email

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"strings"
	"time"
)

// The phases of sending a message, in sequence. PhaseTLS comes before PhaseGreeting with implicit TLS and after
// PhaseHello with STARTTLS.
const (
	PhaseMessage  = "message" // writing the message, before connecting
	PhaseConnect  = "connect"
	PhaseTLS      = "tls"
	PhaseGreeting = "greeting"
	PhaseHello    = "hello"
	PhaseAuth     = "auth"
	PhaseMail     = "mail"   // MAIL FROM: the sender
	PhaseRcpt     = "rcpt"   // RCPT TO: the recipient
	PhaseData     = "data"   // the DATA command and the text of the message
	PhaseAccept   = "accept" // the reply by which the server accepts the message
)

// SendError is the error of every failed Send.
type SendError struct {
	// Phase is the phase that failed, one of the Phase constants. After a failure in PhaseAccept without a Code, the
	// server may have accepted the message.
	Phase string

	// Code is the server's reply code (RFC 5321, 4.2). Zero: there was no reply.
	Code int

	// Permanent: sending the same message again will fail too. The server refused it with a 5xx code, or the message
	// itself is not valid. All other failures may be temporary.
	Permanent bool

	// Server is the server's host:port.
	Server string

	// Err is the cause, never nil: a *textproto.Error if the server refused, the context's cause if the context ended. It
	// does not contain the password.
	Err error
}

func (e *SendError) Error() string {
	why := e.Err.Error()
	if reply, ok := errors.AsType[*textproto.Error](e.Err); ok {
		why = fmt.Sprintf("%d %s", reply.Code, oneLine(reply.Msg, lineLimit))
	}
	return fmt.Sprintf("send email through %s: %s: %s", e.Server, phaseTexts[e.Phase], why)
}

func (e *SendError) Unwrap() error { return e.Err }

var phaseTexts = map[string]string{
	PhaseMessage:  "write the message",
	PhaseConnect:  "connect",
	PhaseTLS:      "encrypt the connection (TLS)",
	PhaseGreeting: "wait for the server's greeting",
	PhaseHello:    "introduce ourselves (EHLO)",
	PhaseAuth:     "log in (AUTH)",
	PhaseMail:     "name the sender (MAIL FROM)",
	PhaseRcpt:     "name the recipient (RCPT TO)",
	PhaseData:     "hand over the message (DATA)",
	PhaseAccept:   "wait for the server to accept the message",
}

// newSendError makes a SendError of an error in a phase.
func newSendError(ctx context.Context, server, phase string, timeout time.Duration, err error) *SendError {
	e := &SendError{Phase: phase, Server: server, Err: err}

	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		e.Code = reply.Code
		// A refusal of TLS may be temporary and does not concern the message.
		e.Permanent = reply.Code >= 500 && reply.Code <= 599 && phase != PhaseTLS
		return e
	}
	var timedOut net.Error
	switch {
	case ctx.Err() != nil:
		e.Err = context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timedOut) && timedOut.Timeout():
		e.Err = fmt.Errorf("no answer within %v: %w", timeout, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		e.Err = fmt.Errorf("the server closed the connection: %w", err)
	}
	return e
}

// withoutSecrets replaces secrets in the server's reply. Some servers repeat an unknown command, which may contain the
// password.
func withoutSecrets(err error, secrets ...string) error {
	reply, ok := errors.AsType[*textproto.Error](err)
	if !ok {
		return err
	}
	msg := reply.Msg
	for _, s := range secrets {
		if s != "" {
			msg = strings.ReplaceAll(msg, s, "[redacted]")
		}
	}
	return &textproto.Error{Code: reply.Code, Msg: msg}
}
