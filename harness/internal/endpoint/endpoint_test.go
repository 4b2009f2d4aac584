package endpoint_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/endpoint"
)

func TestMailbox_ErrorsKeepThePasswordSecret(t *testing.T) {
	t.Parallel()
	answers := map[string]http.HandlerFunc{
		"answers 404 Not Found": http.NotFound,
		"answers no JSON":       func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") },
		"is not MailHog":        func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") },
	}
	for what, answer := range answers {
		server := httptest.NewServer(answer)
		_, err := endpoint.Mailbox(t.Context(), strings.Replace(server.URL, "://", "://ops:secret@", 1))
		server.Close()
		require.ErrorContains(t, err, what)
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestMailbox_SaysWhichMailCatcherItIs(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]harness.MailCatcher{"/api/v2/messages": harness.MailHog, "/api/v1/messages": harness.Mailpit} {
		mux := http.NewServeMux()
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"total":0}`) })
		server := httptest.NewServer(mux)
		defer server.Close()
		found, err := endpoint.Mailbox(t.Context(), server.URL)
		require.NoError(t, err)
		require.Equal(t, want, found)
		require.Equal(t, want == harness.MailHog, endpoint.HasMailPage(t.Context(), found, server.URL), "its page is not there")
		mux.HandleFunc("/dist/app.js", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "1") })
		require.True(t, endpoint.HasMailPage(t.Context(), found, server.URL))
	}
}

func TestDatabase_String(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		database endpoint.Database
		want     string
	}{
		{endpoint.Database{Version: "8.0.4"}, "MongoDB 8.0.4"},
		{endpoint.Database{Version: "7.0.42", FerretDB: "v1.24.2"}, "FerretDB v1.24.2 (stand-in for MongoDB)"},
		{endpoint.Database{Version: "7.0.42", FerretDB: "unknown"}, "FerretDB (stand-in for MongoDB)"},
	} {
		require.Equal(t, c.want, c.database.String())
	}
}

// TestMongo_EndsWithADroppedConnection behaves like Docker's proxy of a container that does not listen yet. The driver would
// wait half a second before it tries again.
func TestMongo_EndsWithADroppedConnection(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var dropped atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			dropped.Add(1)
			conn.Close()
		}
	}()
	_, err = endpoint.Mongo(t.Context(), "mongodb://"+l.Addr().String()+"/?directConnection=true")
	require.ErrorContains(t, err, "ask MongoDB for its version: ")
	require.NoError(t, l.Close())
	<-done
	require.EqualValues(t, 1, dropped.Load(), "how often it tried")
}

func TestHTTPServers_AreDistinguished(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer                    string
		mailhog, mailpit, inngest string // what the error says; empty: none
	}{
		"mailhog":    {`{"total":0,"count":0,"start":0,"items":[]}`, "", "", "is not an Inngest dev server"},
		"inngest":    {`{"version":"dev","startOpts":{"poll":false}}`, "is not MailHog", "is not Mailpit", ""},
		"a web page": {`<html>`, "answers no JSON", "answers no JSON", "answers no JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, c.answer) }))
			defer server.Close()
			check(t, endpoint.Mail(t.Context(), harness.MailHog, server.URL), c.mailhog)
			check(t, endpoint.Mail(t.Context(), harness.Mailpit, server.URL), c.mailpit)
			check(t, endpoint.Inngest(t.Context(), server.URL), c.inngest)
		})
	}
}

func check(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" {
		require.NoError(t, err)
		return
	}
	require.ErrorContains(t, err, want)
}

func TestInngest_StatusIsAnError(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	require.ErrorContains(t, endpoint.Mail(t.Context(), harness.MailHog, server.URL), "answers 404 Not Found")
}

func TestHasPage(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") })
	mux.HandleFunc("/empty", func(http.ResponseWriter, *http.Request) {})
	server := httptest.NewServer(mux)
	defer server.Close()
	require.True(t, endpoint.HasPage(t.Context(), server.URL+"/page"))
	require.False(t, endpoint.HasPage(t.Context(), server.URL+"/empty"))
	require.False(t, endpoint.HasPage(t.Context(), server.URL+"/missing"))
}

func TestSMTP_RequiresAGreeting(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ greeting, want string }{
		{"220 mailhog.example ESMTP MailHog\r\n", ""},
		{"554 go away\r\n", `554 "go away"`},
		{"", "no SMTP greeting"},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			fmt.Fprint(conn, c.greeting)
			if c.greeting != "" {
				_, _ = bufio.NewReader(conn).ReadString('\n')
			}
		}()
		check(t, endpoint.SMTP(t.Context(), l.Addr().String()), c.want)
	}
}

func TestInngestTakesEvents_RequiresThatEventsAreKept(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/health":
		case strings.HasPrefix(r.URL.Path, "/e/"):
			fmt.Fprint(w, `{"ids":["1"],"status":200}`)
		default:
			fmt.Fprint(w, `{"errors":[{"message":"event not found: 1"}]}`)
		}
	}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	require.ErrorContains(t, endpoint.InngestTakesEvents(ctx, srv.URL, harness.Keys{}), "it accepts events and does not show them")
}

// TestMongo_BoundsItsDisconnect: the driver ends its sessions, and would wait for the reply.
func TestMongo_BoundsItsDisconnect(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	frozen := make(chan struct{}, 10)
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			go serveMongo(conn, func(request []byte) bson.M {
				if bytes.Contains(request, []byte("endSessions")) {
					frozen <- struct{}{}
					return nil
				}
				return member(nil)
			})
		}
	}()
	looked := make(chan error, 1)
	go func() {
		db, err := endpoint.Mongo(t.Context(), "mongodb://"+l.Addr().String()+"/?directConnection=true")
		if err == nil && db.Version != "8.0.4" {
			err = fmt.Errorf("it is %s", db)
		}
		looked <- err
	}()
	<-frozen
	select {
	case err := <-looked:
		require.NoError(t, err, "it has answered")
	case <-time.After(20 * time.Second):
		require.Fail(t, "Mongo hangs in its disconnect")
	}
}

// member are the fields of a MongoDB server's answers that the driver and the checks read.
func member(more bson.M) bson.M {
	answer := bson.M{
		"ok": 1, "isWritablePrimary": true, "helloOk": true, "minWireVersion": 0, "maxWireVersion": 21, "version": "8.0.4",
		"maxBsonObjectSize": 16 << 20, "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000, "logicalSessionTimeoutMinutes": 30,
	}
	maps.Copy(answer, more)
	return answer
}

// serveMongo answers requests until answer returns nil; from then on it does not.
func serveMongo(conn net.Conn, answer func(request []byte) bson.M) {
	const opReply, opQuery, opMsg = 1, 2004, 2013
	defer conn.Close()
	for head := make([]byte, 16); ; {
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		body := make([]byte, binary.LittleEndian.Uint32(head)-16)
		if _, err := io.ReadFull(conn, body); err != nil {
			return
		}
		fields := answer(body)
		if fields == nil {
			_, _ = io.Copy(io.Discard, conn) // until the client hangs up
			return
		}
		doc, _ := bson.Marshal(fields)
		op, prefix := uint32(opMsg), make([]byte, 5) // no flags, one document
		if binary.LittleEndian.Uint32(head[12:]) == opQuery {
			op, prefix = opReply, append(make([]byte, 16), 1, 0, 0, 0) // no flags, no cursor, from the first, one document
		}
		reply := binary.LittleEndian.AppendUint32(nil, uint32(16+len(prefix)+len(doc)))
		reply = binary.LittleEndian.AppendUint32(reply, 1)
		reply = append(reply, head[4:8]...) // what it answers
		reply = binary.LittleEndian.AppendUint32(reply, op)
		if _, err := conn.Write(append(append(reply, prefix...), doc...)); err != nil {
			return
		}
	}
}

// TestMongoPrimary_InitiatesOnce: the answers are those that MongoDB's manual has for a mongod with --replSet: before it is
// initiated, while there is no primary, and after. The suite of the backends does the same with a real one, where there is one.
func TestMongoPrimary_InitiatesOnce(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	fields, initiated := bson.M{"isWritablePrimary": false, "isreplicaset": true}, 0
	become := func(f bson.M) { mu.Lock(); defer mu.Unlock(); fields = f }
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			go serveMongo(conn, func(request []byte) bson.M {
				mu.Lock()
				defer mu.Unlock()
				if !bytes.Contains(request, []byte("replSetInitiate")) {
					return member(fields)
				}
				if initiated++; initiated == 2 {
					return bson.M{"ok": 0, "code": 23, "codeName": "AlreadyInitialized", "errmsg": "already initialized"}
				}
				if !bytes.Contains(request, []byte("127.0.0.1:4711")) || !bytes.Contains(request, []byte("rs0")) || initiated > 2 {
					return bson.M{"ok": 0, "code": 93, "codeName": "InvalidReplicaSetConfig", "errmsg": "no host maps to this node"}
				}
				return member(fields)
			})
		}
	}()
	uri := "mongodb://" + l.Addr().String() + "/?directConnection=true"
	look := func() error { return endpoint.MongoPrimary(t.Context(), uri, "rs0", "127.0.0.1:4711") }
	name, err := endpoint.MongoReplicaSet(t.Context(), uri)
	require.NoError(t, err)
	require.Empty(t, name)

	require.ErrorContains(t, look(), "make MongoDB the primary of the replica set rs0: it has become its member, and not yet its primary")
	require.ErrorContains(t, look(), "it has become its member, and not yet its primary", "it has not read its configuration yet")
	require.ErrorContains(t, look(), "no host maps to this node")
	become(bson.M{"isWritablePrimary": false, "secondary": true, "setName": "rs0"})
	require.ErrorContains(t, look(), "it is a member of rs0, and not yet its primary")
	become(bson.M{"setName": "another"})
	require.ErrorContains(t, look(), "it is a member of another, which is not rs0")
	become(bson.M{"setName": "rs0"})
	require.NoError(t, look())
	require.Equal(t, 3, initiated)
	name, err = endpoint.MongoReplicaSet(t.Context(), uri)
	require.NoError(t, err)
	require.Equal(t, "rs0", name)
}
