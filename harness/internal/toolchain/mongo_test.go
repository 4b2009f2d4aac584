package toolchain_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/mongohint"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
)

// standIn is a running stand-in for MongoDB.
type standIn struct {
	*proc.Process
	path string // of its program
	addr string
}

// startStandIn builds the program when it has to, and runs it on a free port.
func startStandIn(t *testing.T, args ...string) standIn {
	t.Helper()
	bin, err := toolchain.Ensure(t.Context(), harness.ServiceMongo, toolchain.Options{LookupEnv: environment("PATH", "HARNESS_CACHE")})
	require.NoError(t, err)

	ready := make(chan string, 1)
	p, err := proc.Start(t.Context(), proc.Spec{
		Name: "ferretdb",
		Path: bin.Path,
		Args: append([]string{"-listen", "127.0.0.1:0"}, args...),
		Env:  []string{"TMPDIR=" + t.TempDir()},
		OnLine: func(line string) {
			if addr, ok := strings.CutPrefix(line, "ready on "); ok {
				ready <- addr
			}
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Stop(context.Background(), 0) })
	select {
	case addr := <-ready:
		return standIn{Process: p, path: bin.Path, addr: addr}
	case <-p.Done():
		require.NoError(t, p.Err())
		panic("unreachable: it ended without being told to")
	}
}

// connect returns a client of its own, with a pool of its own.
func (s standIn) connect(t *testing.T) *mongo.Client {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI("mongodb://" + s.addr).SetTimeout(20 * time.Second))
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	return client
}

func (s standIn) collection(t *testing.T, opts ...options.Lister[options.CollectionOptions]) *mongo.Collection {
	return s.connect(t).Database("test").Collection("documents", opts...)
}

// together runs f in n goroutines that begin at the same moment.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() { <-begin; f(i) })
	}
	close(begin)
	wg.Wait()
}

func TestStandIn_UpdatesAreAtomic(t *testing.T) {
	t.Parallel()
	s := startStandIn(t)
	ctx := t.Context()
	const writers = 4
	clients := make([]*mongo.Collection, writers)
	for i := range clients {
		clients[i] = s.collection(t)
	}

	t.Run("of many that compare and set, one wins", func(t *testing.T) {
		for trial := range 200 {
			id := fmt.Sprint("cas-", trial)
			_, err := clients[0].InsertOne(ctx, bson.M{"_id": id, "state": "pending"})
			require.NoError(t, err)
			var won atomic.Int32
			together(writers, func(i int) {
				res, err := clients[i].UpdateOne(ctx, bson.M{"_id": id, "state": "pending"}, bson.M{"$set": bson.M{"state": "taken", "by": i}})
				if err == nil && res.ModifiedCount == 1 {
					won.Add(1)
				}
			})
			require.EqualValues(t, 1, won.Load(), "trial %d", trial)
		}
	})
	t.Run("find and modify as well", func(t *testing.T) {
		for trial := range 50 {
			id := fmt.Sprint("fam-", trial)
			_, err := clients[0].InsertOne(ctx, bson.M{"_id": id, "state": "pending"})
			require.NoError(t, err)
			var won atomic.Int32
			together(writers, func(i int) {
				err := clients[i].FindOneAndUpdate(ctx, bson.M{"_id": id, "state": "pending"}, bson.M{"$set": bson.M{"state": "taken"}}).Err()
				if err == nil {
					won.Add(1)
				}
			})
			require.EqualValues(t, 1, won.Load(), "trial %d", trial)
		}
	})
	t.Run("no increment is lost", func(t *testing.T) {
		const each = 50
		_, err := clients[0].InsertOne(ctx, bson.M{"_id": "counter", "n": 0})
		require.NoError(t, err)
		together(writers*2, func(i int) {
			for range each {
				_, err := clients[i%writers].UpdateOne(ctx, bson.M{"_id": "counter"}, bson.M{"$inc": bson.M{"n": 1}})
				if err != nil {
					t.Error(err)
				}
			}
		})
		var doc struct{ N int }
		require.NoError(t, clients[0].FindOne(ctx, bson.M{"_id": "counter"}).Decode(&doc))
		require.Equal(t, writers*2*each, doc.N)
	})
	t.Run("of many that upsert one key, one inserts", func(t *testing.T) {
		for trial := range 50 {
			var inserted atomic.Int32
			together(writers, func(i int) {
				res, err := clients[i].UpdateOne(ctx, bson.M{"_id": fmt.Sprint("up-", trial)}, bson.M{"$setOnInsert": bson.M{"by": i}}, options.UpdateOne().SetUpsert(true))
				if err == nil {
					inserted.Add(int32(res.UpsertedCount))
				}
			})
			require.EqualValues(t, 1, inserted.Load(), "trial %d", trial)
		}
	})
}

// The gate, which all requests pass, must not be held by a client that is not sending one.
func TestStandIn_IdleAndSlowClientsDoNotBlockOthers(t *testing.T) {
	t.Parallel()
	s := startStandIn(t)
	ctx := t.Context()
	coll := s.collection(t)
	docs := make([]any, 100)
	for i := range docs {
		docs[i] = bson.M{"n": i}
	}
	_, err := coll.InsertMany(ctx, docs)
	require.NoError(t, err)

	cursor, err := coll.Find(ctx, bson.M{}, options.Find().SetBatchSize(2))
	require.NoError(t, err)
	require.True(t, cursor.Next(ctx))

	half, err := net.Dial("tcp", s.addr) // a request that stops in the middle
	require.NoError(t, err)
	defer half.Close()
	_, err = half.Write([]byte{200, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xdd, 7, 0, 0, 0})
	require.NoError(t, err)

	other := s.collection(t)
	_, err = other.InsertOne(ctx, bson.M{"_id": "while the cursor is open"})
	require.NoError(t, err)
	n, err := other.CountDocuments(ctx, bson.M{"n": bson.M{"$gte": 0}})
	require.NoError(t, err)
	require.EqualValues(t, len(docs), n)

	var rest []bson.M
	require.NoError(t, cursor.All(ctx, &rest))
	require.GreaterOrEqual(t, len(rest), len(docs)-1)
}

// The build patches FerretDB so that it finds a document by the index of _id, whatever else the filter has (package tools). That
// must only reduce the documents that the filter is applied to.
func TestStandIn_FindsByIDFirst(t *testing.T) {
	t.Parallel()
	s := startStandIn(t)
	ctx := t.Context()
	coll := s.collection(t)
	object := bson.NewObjectID()
	ids := []any{object, "text", int32(3), true}
	for _, id := range ids {
		_, err := coll.InsertOne(ctx, bson.M{"_id": id, "n": 1, "deep": bson.M{"version": 1}})
		require.NoError(t, err)
	}
	right := bson.D{{Key: "n", Value: 1}, {Key: "deep.version", Value: 1}}
	wrong := bson.D{{Key: "n", Value: 1}, {Key: "deep.version", Value: 2}}
	with := func(id any, more bson.D) bson.D { return append(bson.D{{Key: "_id", Value: id}}, more...) }

	for _, id := range ids {
		for _, c := range []struct {
			filter bson.D
			found  int
		}{
			{with(id, nil), 1},
			{with(id, right), 1},
			{with(id, wrong), 0},
			{append(slices.Clone(right), with(id, nil)...), 1}, // at the end
			{append(slices.Clone(wrong), with(id, nil)...), 0},
			{with(bson.D{{Key: "$in", Value: bson.A{id, "none"}}}, right), 1},
			{with(bson.D{{Key: "$ne", Value: id}}, right), len(ids) - 1},
			{with("none", right), 0},
			{with(id, with(id, right)), 1},     // said twice
			{with(id, with("none", right)), 0}, // and contradicted
		} {
			var docs []bson.M
			cursor, err := coll.Find(ctx, c.filter)
			require.NoError(t, err)
			require.NoError(t, cursor.All(ctx, &docs))
			require.Len(t, docs, c.found, "%v", c.filter)

			n, err := coll.CountDocuments(ctx, c.filter)
			require.NoError(t, err)
			require.EqualValues(t, c.found, n, "%v", c.filter)
		}

		res, err := coll.UpdateOne(ctx, with(id, wrong), bson.M{"$set": bson.M{"n": 9}})
		require.NoError(t, err)
		require.Zero(t, res.MatchedCount)
		res, err = coll.UpdateOne(ctx, with(id, right), bson.M{"$set": bson.M{"deep.version": 2}})
		require.NoError(t, err)
		require.EqualValues(t, 1, res.ModifiedCount)
		require.ErrorIs(t, coll.FindOneAndUpdate(ctx, with(id, right), bson.M{"$set": bson.M{"n": 9}}).Err(), mongo.ErrNoDocuments)
		deleted, err := coll.DeleteOne(ctx, with(id, right))
		require.NoError(t, err)
		require.Zero(t, deleted.DeletedCount)
		deleted, err = coll.DeleteOne(ctx, with(id, wrong))
		require.NoError(t, err)
		require.EqualValues(t, 1, deleted.DeletedCount)
		_, err = coll.InsertOne(ctx, bson.M{"_id": id, "n": 1, "deep": bson.M{"version": 1}})
		require.NoError(t, err)
	}

	for _, id := range []any{object, "text"} { // those by which FerretDB narrows down a query
		var plan bson.Raw
		err := coll.Database().RunCommand(ctx, bson.D{{Key: "explain", Value: bson.D{
			{Key: "find", Value: coll.Name()}, {Key: "filter", Value: with(id, right)},
		}}}).Decode(&plan)
		require.NoError(t, err)
		require.Regexp(t, `SEARCH \S+ USING INDEX \S+__id_ `, plan.Lookup("queryPlanner").String())
	}
}

// The reply to a write that wants none must not be read as the reply to the next request on its connection.
func TestStandIn_UnacknowledgedWrites(t *testing.T) {
	t.Parallel()
	s := startStandIn(t)
	client, err := mongo.Connect(options.Client().ApplyURI("mongodb://" + s.addr).SetMaxPoolSize(1))
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	db := client.Database("test")
	silent := db.Collection("documents", options.Collection().SetWriteConcern(writeconcern.Unacknowledged()))
	for i := range 20 {
		_, err := silent.InsertOne(t.Context(), bson.M{"_id": i})
		require.NoError(t, err)
		var doc bson.M
		require.NoError(t, db.Collection("documents").FindOne(t.Context(), bson.M{"_id": i}).Decode(&doc))
		require.EqualValues(t, i, doc["_id"])
	}
}

func TestStandIn_SurvivesGarbage(t *testing.T) {
	t.Parallel()
	s := startStandIn(t)
	message := func(length uint32, rest string) []byte {
		return append(binary.LittleEndian.AppendUint32(nil, length), rest...)
	}
	for name, sent := range map[string][]byte{
		"HTTP":               []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"no length":          message(0, strings.Repeat("\x00", 12)),
		"absurd length":      message(1<<31, strings.Repeat("\x00", 12)),
		"unknown operation":  message(16, "\x01\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\x7f"),
		"message of nothing": message(16, "\x01\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00"),
		"broken document":    message(26, "\x01\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\x00"),
	} {
		conn, err := net.Dial("tcp", s.addr)
		require.NoError(t, err, name)
		_, err = conn.Write(sent)
		require.NoError(t, err, name)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
		_, err = io.Copy(io.Discard, conn)
		require.NotErrorIs(t, err, context.DeadlineExceeded, "%s: the connection stays open", name)
		conn.Close()
	}
	_, err := s.collection(t).InsertOne(t.Context(), bson.M{"_id": 1})
	require.NoError(t, err)
}

// TestStandIn_StopsDespiteIdleConnections: an idle connection does not delay a stop. FerretDB itself would wait three seconds for
// it, each time; a busy machine may need as long once, but not every time.
func TestStandIn_StopsDespiteIdleConnections(t *testing.T) {
	t.Parallel()
	const byItself, attempts = 3 * time.Second, 5
	var took []time.Duration
	for range attempts {
		s := startStandIn(t)
		_, err := s.collection(t).InsertOne(t.Context(), bson.M{"_id": 1})
		require.NoError(t, err)
		idle, err := net.Dial("tcp", s.addr)
		require.NoError(t, err)
		defer idle.Close()

		began := time.Now()
		require.NoError(t, s.Stop(t.Context(), 10*time.Second))
		took = append(took, time.Since(began))
		if took[len(took)-1] < byItself {
			return
		}
	}
	require.Fail(t, "no stop was faster than that of FerretDB itself", "%v", took)
}

func TestStandIn_KeepsItsData(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*proc.Process) error{
		"stopped": func(p *proc.Process) error { return p.Stop(context.Background(), 5*time.Second) },
		"killed":  func(p *proc.Process) error { return p.Stop(context.Background(), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir() + "/data ?#%41" // as a URI it would be another
			require.NoError(t, exec.Command("mkdir", dir).Run())
			first := startStandIn(t, "-dir", dir)
			_, err := first.collection(t).InsertOne(t.Context(), bson.M{"_id": "kept"})
			require.NoError(t, err)
			require.NoError(t, end(first.Process))

			second := startStandIn(t, "-dir", dir)
			require.NoError(t, second.collection(t).FindOne(t.Context(), bson.M{"_id": "kept"}).Err())
		})
	}
}

func TestStandIn_CommandLine(t *testing.T) {
	t.Parallel()
	s := startStandIn(t)
	dead := deadAddress(t)
	for _, c := range []struct {
		name string
		args []string
		ok   bool
		says string
	}{
		{"check", []string{"-check", s.addr}, true, ""},
		{"check of nothing", []string{"-check", dead}, false, "nothing answers at " + dead},
		{"port in use", []string{"-listen", s.addr}, false, "cannot listen on " + s.addr},
		{"address others can reach", []string{"-listen", "0.0.0.0:0"}, false, "can be reached from other machines"},
		{"all addresses", []string{"-listen", ":0"}, false, "can be reached from other machines"},
		{"no port", []string{"-listen", "localhost"}, false, "-listen wants host:port"},
		{"missing folder", []string{"-listen", "127.0.0.1:0", "-dir", t.TempDir() + "/none"}, false, "cannot use the folder of the databases"},
		{"argument", []string{"start"}, false, `unexpected argument "start"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			out, err := exec.CommandContext(ctx, s.path, c.args...).CombinedOutput()
			require.Equal(t, c.ok, err == nil, "%v: %s", err, out)
			require.Contains(t, string(out), c.says)
		})
	}
}

// TestStandIn_LacksWhatItsHintsSay gets each error from the stand-in, by the driver, and the hint that explains it.
func TestStandIn_LacksWhatItsHintsSay(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	client := startStandIn(t).connect(t)
	db := client.Database("test")
	coll := db.Collection("documents")
	_, err := coll.InsertOne(ctx, bson.M{"_id": 1, "n": 1})
	require.NoError(t, err)
	session, err := client.StartSession()
	require.NoError(t, err)
	defer session.EndSession(ctx)
	in := mongo.NewSessionContext(ctx, session)

	aggregate := func(stage string, spec any) error {
		_, err := coll.Aggregate(ctx, mongo.Pipeline{{{Key: stage, Value: spec}}})
		return err
	}
	find := func(filter bson.M) error { return coll.FindOne(ctx, filter).Err() }
	index := func(kind any, o *options.IndexOptionsBuilder) error {
		_, err := coll.Indexes().CreateOne(ctx, mongo.IndexModel{Keys: bson.D{{Key: "at", Value: kind}}, Options: o})
		return err
	}
	increment := mongo.Pipeline{{{Key: "$set", Value: bson.M{"n": bson.M{"$add": bson.A{"$n", 1}}}}}}
	for lacks, act := range map[string]func() error{
		"transactions: ": func() error {
			require.NoError(t, session.StartTransaction())
			_, err := coll.InsertOne(in, bson.M{"_id": 2})
			return err
		},
		"change streams": func() error { _, err := coll.Watch(ctx, mongo.Pipeline{}); return err },
		"aggregations of a whole database, such as its change streams": func() error { _, err := db.Watch(ctx, mongo.Pipeline{}); return err },
		"the aggregation stage $lookup": func() error {
			return aggregate("$lookup", bson.M{"from": "x", "localField": "n", "foreignField": "n", "as": "y"})
		},
		"the aggregation stage $facet":                          func() error { return aggregate("$facet", bson.M{"a": bson.A{}}) },
		"the operator $concat in expressions":                   func() error { return aggregate("$project", bson.M{"a": bson.M{"$concat": bson.A{"x", "y"}}}) },
		"the operator $gt in expressions ($expr, aggregations)": func() error { return find(bson.M{"$expr": bson.M{"$gt": bson.A{"$n", 0}}}) },
		"the accumulator $avg":                                  func() error { return aggregate("$group", bson.M{"_id": nil, "a": bson.M{"$avg": "$n"}}) },
		"updates by an aggregation pipeline":                    func() error { _, err := coll.UpdateOne(ctx, bson.M{"_id": 1}, increment); return err },
		"updates by an aggregation pipeline:":                   func() error { return coll.FindOneAndUpdate(ctx, bson.M{"_id": 1}, increment).Err() },
		"the index option expireAfterSeconds":                   func() error { return index(1, options.Index().SetExpireAfterSeconds(60)) },
		"the index option partialFilterExpression":              func() error { return index(1, options.Index().SetPartialFilterExpression(bson.M{"n": 1})) },
		"2dsphere indexes":                                      func() error { return index("2dsphere", nil) },
		"text indexes":                                          func() error { return index("text", nil) },
		"the option validator": func() error {
			return db.CreateCollection(ctx, "valid", options.CreateCollection().SetValidator(bson.M{"a": 1}))
		},
		"the option collation": func() error {
			return coll.FindOne(ctx, bson.M{}, options.FindOne().SetCollation(&options.Collation{Locale: "en"})).Err()
		},
		"the query operator $text": func() error { return find(bson.M{"$text": bson.M{"$search": "a"}}) },
		"the query operator $near": func() error { return find(bson.M{"at": bson.M{"$near": bson.A{1, 2}}}) },
	} {
		err := act()
		require.Error(t, err, lacks)
		require.Contains(t, mongohint.Of("FerretDB v1.24.2 (stand-in)", err.Error()), "that lacks "+lacks, "%v", err)
	}

	// It does not notice that a search belongs to a transaction, and refuses the end of it.
	require.NoError(t, session.AbortTransaction(in))
	require.NoError(t, session.StartTransaction())
	require.NoError(t, coll.FindOne(in, bson.M{"_id": 1}).Err())
	err = session.CommitTransaction(in)
	require.Contains(t, mongohint.Of("FerretDB v1.24.2 (stand-in)", err.Error()), "that lacks transactions", "%v", err)
	_, err = coll.InsertOne(ctx, bson.M{"_id": 1})
	require.Error(t, err)
	require.Empty(t, mongohint.Of("FerretDB v1.24.2 (stand-in)", err.Error()), "it is the app's own")
}

// deadAddress returns an address where nothing listens.
func deadAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}
