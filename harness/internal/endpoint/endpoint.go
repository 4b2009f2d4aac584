// Package endpoint checks over the network whether a server is of the expected kind and usable.
//
//	db, err := endpoint.Mongo(ctx, "mongodb://127.0.0.1:27017/?directConnection=true") // "MongoDB 8.0.4"
//
// Each check but InngestTakesEvents is bounded to two seconds; ctx may bound it further. It leaves no connection open.
package endpoint

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
)

// disconnectTime bounds the end of a connection to MongoDB.
const disconnectTime = 200 * time.Millisecond

// timeout bounds one check.
const timeout = 2 * time.Second

// Database says which database answers.
type Database struct {
	// FerretDB is the version that the stand-in reports: "unknown" for a build without one. Empty: it is MongoDB.
	FerretDB string
	// Version is MongoDB's version, or the one that the stand-in claims to implement.
	Version string
}

// String names the database and its version.
func (d Database) String() string {
	switch d.FerretDB {
	case "":
		return "MongoDB " + d.Version
	case "unknown":
		return "FerretDB (stand-in for MongoDB)"
	default:
		return "FerretDB " + d.FerretDB + " (stand-in for MongoDB)"
	}
}

// Mongo returns what the server at uri is.
func Mongo(ctx context.Context, uri string) (Database, error) {
	var info struct {
		Version  string `bson:"version"`
		FerretDB string `bson:"ferretdbVersion"`
	}
	err := admin(ctx, uri, "ask MongoDB for its version", func(ctx context.Context, db *mongo.Database) error {
		return db.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info)
	})
	return Database{FerretDB: info.FerretDB, Version: info.Version}, err
}

// MongoReplicaSet returns the name of the replica set that the MongoDB server at uri is a member of; empty for a single server.
func MongoReplicaSet(ctx context.Context, uri string) (name string, err error) {
	err = admin(ctx, uri, "ask MongoDB for its replica set", func(ctx context.Context, db *mongo.Database) error {
		name, _, err = replicaSet(ctx, db)
		return err
	})
	return name, err
}

// MongoPrimary returns nil when the MongoDB server at uri, which must name it directly, is the primary of a replica set. One that
// was started for a replica set and is in none yet becomes the only member of one with this name. There it is known by member,
// a host:port at which it must reach itself.
func MongoPrimary(ctx context.Context, uri, name, member string) error {
	return admin(ctx, uri, "make MongoDB the primary of the replica set "+name, func(ctx context.Context, db *mongo.Database) error {
		found, primary, err := replicaSet(ctx, db)
		switch {
		case err != nil || primary && found == name:
			return err
		case found == name:
			return fmt.Errorf("it is a member of %s, and not yet its primary", found)
		case found != "":
			return fmt.Errorf("it is a member of %s, which is not %s", found, name)
		}
		members := bson.A{bson.D{{Key: "_id", Value: 0}, {Key: "host", Value: member}}}
		config := bson.D{{Key: "_id", Value: name}, {Key: "members", Value: members}}
		err = db.RunCommand(ctx, bson.D{{Key: "replSetInitiate", Value: config}}).Err()
		const initialized = 23 // it has read its configuration meanwhile
		if refused, ok := errors.AsType[mongo.CommandError](err); err != nil && (!ok || refused.Code != initialized) {
			return err
		}
		return errors.New("it has become its member, and not yet its primary")
	})
}

func replicaSet(ctx context.Context, db *mongo.Database) (name string, primary bool, err error) {
	var hello struct {
		SetName string `bson:"setName"`
		Primary bool   `bson:"isWritablePrimary"`
	}
	err = db.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello)
	return hello.SetName, hello.Primary, err
}

// admin calls do with the database admin of the server at uri. doing says what for, in errors.
func admin(ctx context.Context, uri, doing string, do func(context.Context, *mongo.Database) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	o := options.Client().ApplyURI(uri).SetServerSelectionTimeout(timeout)
	if err := o.Validate(); err != nil {
		return fmt.Errorf("MongoDB address: %w", err)
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	if len(o.Hosts) == 1 {
		// After a failure the driver waits half a second, which is too long for a caller that waits for a start. So its
		// first failure ends the check. An accepted connection proves nothing: Docker's proxy accepts connections to a
		// container that does not listen yet, and drops them.
		o.SetServerMonitor(&event.ServerMonitor{
			ServerHeartbeatFailed: func(e *event.ServerHeartbeatFailedEvent) { fail(e.Failure) },
		})
	}
	client, err := mongo.Connect(o)
	if err != nil {
		return fmt.Errorf("MongoDB address: %w", err)
	}
	defer func() {
		// Also when ctx has ended. The driver ends its sessions first and waits for the reply, which a server that has
		// frozen meanwhile does not send.
		endCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), disconnectTime)
		defer cancel()
		err = errors.Join(err, client.Disconnect(endCtx))
	}()
	if err := do(ctx, client.Database("admin")); err != nil {
		if cause := context.Cause(ctx); cause != nil && cause != ctx.Err() {
			err = cause
		}
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// Mail returns nil when the API of a mail catcher answers at the base URL.
func Mail(ctx context.Context, m harness.MailCatcher, url string) error {
	path := "/api/v2/messages?limit=1"
	if m == harness.Mailpit {
		path = "/api/v1/messages?limit=1"
	}
	var list struct {
		Total *int `json:"total"`
	}
	if err := get(ctx, url+path, &list); err != nil {
		return err
	}
	if list.Total == nil {
		return fmt.Errorf("what answers at %s is not %s", withoutUser(url), m.Title())
	}
	return nil
}

// HasMailPage reports whether a mail catcher has its web page. A Mailpit that is built from its module has an empty one.
func HasMailPage(ctx context.Context, m harness.MailCatcher, url string) bool {
	return m != harness.Mailpit || HasPage(ctx, url+"/dist/app.js")
}

// Mailbox returns which mail catcher answers at a URL: MailHog or Mailpit. At imap:// and imaps:// it is a mailbox of a mail
// server, and none of them; that it accepts a connection is then all that is checked.
func Mailbox(ctx context.Context, address string) (harness.MailCatcher, error) {
	u, err := url.Parse(address)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // without the URL, which may contain a password
		}
		return "", err
	}
	if u.Scheme != "imap" && u.Scheme != "imaps" {
		var first error
		for _, m := range harness.MailCatchers() {
			err := Mail(ctx, m, address)
			if err == nil {
				return m, nil
			}
			first = cmp.Or(first, err)
		}
		return "", fmt.Errorf("it is neither MailHog nor Mailpit: %w", first)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	port := cmp.Or(u.Port(), map[string]string{"imap": "143", "imaps": "993"}[u.Scheme])
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return "", err
	}
	return "", conn.Close()
}

// SMTP returns nil when an SMTP server greets at host:port.
func SMTP(ctx context.Context, addr string) error {
	return dialogue(ctx, addr, func(conn io.ReadWriter) error {
		if _, _, err := textproto.NewReader(bufio.NewReader(conn)).ReadResponse(220); err != nil {
			return fmt.Errorf("no SMTP greeting at %s: %w", addr, err)
		}
		_, err := io.WriteString(conn, "QUIT\r\n")
		return err
	})
}

// Redis returns nil when a Redis server with this password answers at host:port and has read its data.
func Redis(ctx context.Context, addr, password string) error {
	return dialogue(ctx, addr, func(conn io.ReadWriter) error {
		if _, err := fmt.Fprintf(conn, "AUTH %s\r\nPING\r\n", password); err != nil {
			return err
		}
		lines := textproto.NewReader(bufio.NewReader(conn))
		for _, want := range []string{"+OK", "+PONG"} {
			if line, err := lines.ReadLine(); err != nil {
				return err
			} else if line != want {
				return fmt.Errorf("the Redis server at %s answers %q", addr, line)
			}
		}
		return nil
	})
}

// Postgres returns nil when a PostgreSQL server at host:port has started: when it asks for a password.
func Postgres(ctx context.Context, addr string) error {
	return dialogue(ctx, addr, func(conn io.ReadWriter) error {
		// The start of a session: its length, version 3.0 of the protocol, a user and a database.
		start := "\x00\x03\x00\x00user\x00probe\x00database\x00postgres\x00\x00"
		if err := binary.Write(conn, binary.BigEndian, uint32(4+len(start))); err != nil {
			return err
		}
		if _, err := io.WriteString(conn, start); err != nil {
			return err
		}
		var head struct {
			Kind   byte // R: authentication, E: an error
			Length uint32
		}
		if err := binary.Read(conn, binary.BigEndian, &head); err != nil {
			return err
		}
		if head.Kind != 'R' {
			said, _ := io.ReadAll(io.LimitReader(conn, 1024)) // fields: a letter, a text, NUL
			return fmt.Errorf("the PostgreSQL server at %s answers %q", addr, strings.Split(string(said), "\x00"))
		}
		return nil
	})
}

// dialogue connects to host:port and calls talk. It bounds both.
func dialogue(ctx context.Context, addr string, talk func(io.ReadWriter) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	return talk(conn)
}

// Inngest returns nil when an Inngest dev server answers at the base URL. `inngest start` is not one.
func Inngest(ctx context.Context, url string) error {
	_, err := InngestDir(ctx, url)
	return err
}

// AnyInngest returns nil when an Inngest server answers at the base URL: a dev server, a self-hosted one, or Inngest Cloud. That
// it asks for a key is an answer.
func AnyInngest(ctx context.Context, url string) error {
	dev := Inngest(ctx, url)
	if dev == nil {
		return nil
	}
	var events struct{ Data, Metadata json.RawMessage }
	err := get(ctx, url+"/v1/events?limit=1", &events)
	if answer, ok := errors.AsType[*statusError](err); ok && answer.code == http.StatusUnauthorized {
		return nil
	}
	if err != nil || events.Metadata == nil {
		return dev
	}
	return nil
}

// InngestDir returns the directory that the Inngest dev server at the base URL was given with --sqlite-dir, which
// distinguishes one such server from another.
func InngestDir(ctx context.Context, url string) (string, error) {
	var info struct {
		StartOpts *struct {
			SQLiteDir string `json:"sqlite_dir"`
		} `json:"startOpts"`
	}
	if err := get(ctx, url+"/dev", &info); err != nil {
		return "", err
	}
	if info.StartOpts == nil {
		return "", fmt.Errorf("what answers at %s is not an Inngest dev server", url)
	}
	return info.StartOpts.SQLiteDir, nil
}

// InngestSelfHosted returns nil when a self-hosted Inngest server with these keys answers at the base URL.
func InngestSelfHosted(ctx context.Context, url string, keys harness.Keys) error {
	return request(ctx, url+"/v1/events?limit=1", keys.Signing, func(io.Reader) error { return nil })
}

// InngestTakesEvents waits until the Inngest server at the base URL keeps the events that it accepts, which for a moment
// after its first answer it does not. Each attempt takes a quarter of a second and leaves an event named harness/ready. A dev
// server has no keys.
func InngestTakesEvents(ctx context.Context, url string, keys harness.Keys) error {
	api := inngestapi.New(url, inngestapi.Options{EventKey: keys.Event, SigningKey: keys.Signing})
	defer func() { _ = api.Close(ctx) }()
	return api.Ready(ctx)
}

// HasPage reports whether a web page is served at the URL. A build of Inngest from its module serves an empty one.
func HasPage(ctx context.Context, url string) bool {
	found := false
	err := fetch(ctx, url, func(body io.Reader) error {
		n, err := io.CopyN(io.Discard, body, 1)
		found = n == 1
		return err
	})
	return err == nil && found
}

func get(ctx context.Context, url string, into any) error {
	return fetch(ctx, url, func(body io.Reader) error {
		if err := json.NewDecoder(body).Decode(into); err != nil {
			return fmt.Errorf("GET %s answers no JSON: %w", withoutUser(url), err)
		}
		return nil
	})
}

func fetch(ctx context.Context, url string, read func(io.Reader) error) error {
	return request(ctx, url, "", read)
}

// request is fetch with a bearer token, unless that is empty.
func request(ctx context.Context, url, token string, read func(io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Close = true
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return &statusError{withoutUser(url), res.Status, res.StatusCode}
	}
	return read(res.Body)
}

// withoutUser removes the credentials from a URL.
func withoutUser(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the address"
	}
	u.User = nil
	return u.String()
}

// statusError is an answer other than 200.
type statusError struct {
	url, status string
	code        int
}

func (e *statusError) Error() string { return fmt.Sprintf("GET %s answers %s", e.url, e.status) }
