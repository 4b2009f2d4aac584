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

// The phases of handing a message to a server, in their order. PhaseTLS comes before PhaseGreeting
// with implicit TLS and after PhaseHello with STARTTLS.
const (
	PhaseMessage  = "message" // writing the message, before any server is asked
	PhaseConnect  = "connect"
	PhaseTLS      = "tls"
	PhaseGreeting = "greeting"
	PhaseHello    = "hello"
	PhaseAuth     = "auth"
	PhaseMail     = "mail"   // MAIL FROM: the sender
	PhaseRcpt     = "rcpt"   // RCPT TO: the recipient
	PhaseData     = "data"   // the DATA command and the text of the message
	PhaseAccept   = "accept" // the server's word that it has taken the message over
)

// SendError is the error of every failed Send.
type SendError struct {
	// Phase is where it failed, one of the Phase constants. After a failure in PhaseAccept with no Code the
	// server may have the message nonetheless.
	Phase string

	// Code is the server's reply code (RFC 5321, 4.2); 0: there was no reply.
	Code int

	// Permanent says that sending the same message again is of no use: the server refused it with a
	// 5xx code, or it is not a message that can be sent. Everything else may pass with time.
	Permanent bool

	// Server is the host:port that was tried.
	Server string

	// Err is the cause, never nil: a *textproto.Error when the server refused; the context's error when
	// the context ended. It holds no password.
	Err error
}

func (e *SendError) Error() string {
	why := e.Err.Error()
	var reply *textproto.Error
	if errors.As(e.Err, &reply) {
		why = fmt.Sprintf("%d %s", reply.Code, oneLine(reply.Msg, lineLimit)) // as the server wrote it, on one line
	}
	return fmt.Sprintf("send email through %s: %s: %s", e.Server, phaseText(e.Phase), why)
}

func (e *SendError) Unwrap() error { return e.Err }

func phaseText(phase string) string {
	switch phase {
	case PhaseMessage:
		return "write the message"
	case PhaseConnect:
		return "connect"
	case PhaseTLS:
		return "encrypt the connection (TLS)"
	case PhaseGreeting:
		return "wait for the server's greeting"
	case PhaseHello:
		return "introduce ourselves (EHLO)"
	case PhaseAuth:
		return "log in (AUTH)"
	case PhaseMail:
		return "name the sender (MAIL FROM)"
	case PhaseRcpt:
		return "name the recipient (RCPT TO)"
	case PhaseData:
		return "hand over the message (DATA)"
	case PhaseAccept:
		return "wait for the server to accept the message"
	}
	return phase
}

// newSendError sorts an error that came up in a phase.
func newSendError(ctx context.Context, server, phase string, timeout time.Duration, err error) *SendError {
	e := &SendError{Phase: phase, Server: server, Err: err}

	var reply *textproto.Error
	if errors.As(err, &reply) {
		e.Code = reply.Code
		// A server that cannot do TLS now may do so later, and says nothing about the message.
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

// withoutSecrets replaces what must not be read in a log. Some servers repeat a command they do not
// understand, and the command may hold the password.
func withoutSecrets(err error, secrets ...string) error {
	var reply *textproto.Error
	if !errors.As(err, &reply) {
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
