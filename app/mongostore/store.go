package mongostore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"

	"github.com/odoo-maintenance/inngest-harness/app"
)

// DefaultDatabase is the database if the URI names none.
const DefaultDatabase = "maintenance"

// serverSelection is how long an operation waits for a server before it returns app.ErrUnavailable. Callers retry steps
// and API calls, so a longer wait would only delay the error.
const serverSelection = 3 * time.Second

// closeTimeout limits Close: the driver ends its sessions on the server, and a frozen database never answers.
const closeTimeout = time.Second

// notImplemented is the code of the reply to a command that the server does not have.
const notImplemented = 238

// Store is an app.Store on MongoDB. It is safe for concurrent use.
type Store struct {
	client    *mongo.Client
	requests  *mongo.Collection
	reserved  *mongo.Collection
	users     *mongo.Collection
	equipment *mongo.Collection
}

var _ app.Store = (*Store)(nil)

// Open connects to the database that uri names (DefaultDatabase if it names none), checks that it answers and creates the
// indexes. The caller closes the Store. Errors never contain the URI's credentials.
func Open(ctx context.Context, uri string) (*Store, error) {
	where, err := Parse(uri)
	if err != nil {
		return nil, err
	}
	client, err := mongo.Connect(options.Client().
		SetAppName("odoo-maintenance").
		SetServerSelectionTimeout(serverSelection).
		SetWriteConcern(writeconcern.Majority()).
		ApplyURI(uri)) // last: the URI overrides the above
	if err != nil {
		return nil, fmt.Errorf("database at %s: %w", where.Hosts, err)
	}
	db := client.Database(where.Database)
	s := &Store{
		client:    client,
		requests:  db.Collection("requests"),
		reserved:  db.Collection("reservations"),
		users:     db.Collection("users"),
		equipment: db.Collection("equipment"),
	}
	if err := s.prepare(ctx); err != nil {
		_ = s.Close(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("database %s at %s does not answer (is it running, and MONGODB_URI right?): %w",
			where.Database, where.Hosts, err)
	}
	return s, nil
}

func (s *Store) prepare(ctx context.Context) error {
	if err := s.Ping(ctx); err != nil {
		return err
	}
	for _, index := range []mongo.IndexModel{ // one by one: FerretDB breaks the connection when several of a call exist
		{Keys: bson.D{{Key: "notification.nextDispatchAt", Value: 1}}, Options: options.Index().SetName("due")},
		{Keys: bson.D{{Key: "notification.state", Value: 1}, {Key: "_id", Value: 1}}, Options: options.Index().SetName("state")},
	} {
		if _, err := s.requests.Indexes().CreateOne(ctx, index); err != nil {
			return fmt.Errorf("make the indexes of requests: %w", err)
		}
	}
	_, err := s.reserved.Indexes().CreateOne(ctx, mongo.IndexModel{
		Keys:    bson.D{{Key: "request.createdAt", Value: 1}},
		Options: options.Index().SetName("expired").SetExpireAfterSeconds(int32(app.ReservationLifetime / time.Second)),
	})
	if reply, ok := errors.AsType[mongo.CommandError](err); ok && reply.Code == notImplemented {
		return nil // FerretDB deletes nothing by itself
	}
	if err != nil {
		return fmt.Errorf("make the index of expired reservations: %w", err)
	}
	return nil
}

// Location is a URI without its credentials.
type Location struct {
	Hosts    string // comma-separated host:port
	Database string
	Loopback bool // every host is this machine
}

// Parse parses a mongodb:// or mongodb+srv:// URI without network access. Errors do not contain the URI, which may hold a
// password.
func Parse(uri string) (Location, error) {
	srv := strings.HasPrefix(uri, "mongodb+srv://")
	if !srv && !strings.HasPrefix(uri, "mongodb://") {
		return Location{}, errors.New("a MongoDB URI starts with mongodb:// or mongodb+srv://")
	}
	parsable := uri
	if srv {
		// The parser looks up the hosts of an srv URI in the DNS.
		parsable = "mongodb://" + strings.TrimPrefix(uri, "mongodb+srv://")
	}
	cs, err := connstring.Parse(parsable)
	if err != nil {
		return Location{}, errors.New("not a valid MongoDB URI (mongodb://[user:password@]host[:port][/database][?options], special characters in the password percent-encoded)")
	}
	where := Location{Hosts: strings.Join(cs.Hosts, ","), Database: cs.Database, Loopback: !srv}
	if where.Database == "" {
		where.Database = DefaultDatabase
	}
	for _, host := range cs.Hosts {
		where.Loopback = where.Loopback && loopback(host)
	}
	return where, nil
}

func loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip.IsLoopback() || strings.HasSuffix(host, ".sock")
}

// NewID implements app.Store.
func (s *Store) NewID() string { return bson.NewObjectID().Hex() }

// CreateRequest implements app.Store.
func (s *Store) CreateRequest(ctx context.Context, r app.Request) error {
	r.Notification.Version = 1
	doc, err := fromRequest(r)
	if err != nil {
		return err
	}
	if _, err := s.requests.InsertOne(ctx, doc); err != nil {
		return failure("insert request "+r.ID, err)
	}
	return nil
}

// Reservation implements app.Store.
func (s *Store) Reservation(ctx context.Context, key string) (app.Reservation, error) {
	var doc reservationDoc
	err := s.reserved.FindOne(ctx, bson.D{{Key: "_id", Value: key}}).Decode(&doc)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return app.Reservation{}, app.ErrNotFound
	}
	if err != nil {
		return app.Reservation{}, failure("find a reservation", err)
	}
	return app.Reservation{Key: doc.Key, Body: doc.Body, Request: doc.Request.request()}, nil
}

// Reserve implements app.Store.
func (s *Store) Reserve(ctx context.Context, r app.Reservation, expired time.Time) error {
	request, err := fromRequest(r.Request)
	if err != nil {
		return err
	}
	// An upsert inserts the document if there is no expired one; with another one in its place, its _id is taken.
	_, err = s.reserved.ReplaceOne(ctx,
		bson.D{{Key: "_id", Value: r.Key}, {Key: "request.createdAt", Value: bson.D{{Key: "$lt", Value: expired}}}},
		reservationDoc{Key: r.Key, Body: r.Body, Request: request}, options.Replace().SetUpsert(true))
	if err != nil {
		return failure("store a reservation", err)
	}
	return nil
}

// Request implements app.Store.
func (s *Store) Request(ctx context.Context, id string) (app.Request, error) {
	doc, err := findByID[requestDoc](ctx, s.requests, id)
	if err != nil {
		return app.Request{}, err
	}
	return doc.request(), nil
}

// Requests implements app.Store.
func (s *Store) Requests(ctx context.Context, state app.State, after string, limit int) ([]app.Request, error) {
	filter := bson.D{}
	if state != "" {
		filter = append(filter, bson.E{Key: "notification.state", Value: state})
	}
	if after != "" {
		id, err := bson.ObjectIDFromHex(after)
		if err != nil {
			return nil, app.ErrNotFound
		}
		filter = append(filter, bson.E{Key: "_id", Value: bson.D{{Key: "$gt", Value: id}}})
	}
	return s.find(ctx, filter, "_id", limit)
}

// SaveNotification implements app.Store.
func (s *Store) SaveNotification(ctx context.Context, id string, n app.Notification) error {
	oid, err := bson.ObjectIDFromHex(id)
	if err != nil {
		return app.ErrNotFound
	}
	expected := n.Version
	n.Version++
	result, err := s.requests.UpdateOne(ctx,
		bson.D{{Key: "_id", Value: oid}, {Key: "notification.version", Value: expected}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "notification", Value: n}}}})
	if err != nil {
		return failure("update request "+id, err)
	}
	if result.MatchedCount == 1 {
		return nil
	}
	if _, err := s.Request(ctx, id); err != nil {
		return err
	}
	return app.ErrConflict
}

// DueRequests implements app.Store.
func (s *Store) DueRequests(ctx context.Context, now time.Time, limit int) ([]app.Request, error) {
	return s.find(ctx,
		bson.D{{Key: "notification.nextDispatchAt", Value: bson.D{{Key: "$lte", Value: now}}}},
		"notification.nextDispatchAt", limit)
}

// Outbox implements app.Store. The index on state and id answers it.
func (s *Store) Outbox(ctx context.Context) (app.Outbox, error) {
	in := func(states ...app.State) bson.D {
		return bson.D{{Key: "notification.state", Value: bson.D{{Key: "$in", Value: states}}}}
	}
	cursor, err := s.requests.Aggregate(ctx, mongo.Pipeline{
		{{Key: "$match", Value: in(app.Pending, app.Dispatched, app.Failed)}},
		{{Key: "$group", Value: bson.D{{Key: "_id", Value: "$notification.state"}, {Key: "n", Value: bson.D{{Key: "$sum", Value: 1}}}}}},
	})
	if err != nil {
		return app.Outbox{}, failure("count the outbox", err)
	}
	var counts []struct {
		State app.State `bson:"_id"`
		N     int64     `bson:"n"`
	}
	if err := cursor.All(ctx, &counts); err != nil {
		return app.Outbox{}, failure("read the counts of the outbox", err)
	}
	var o app.Outbox
	for _, c := range counts {
		switch c.State {
		case app.Pending:
			o.Pending = c.N
		case app.Dispatched:
			o.Dispatched = c.N
		case app.Failed:
			o.Failed = c.N
		}
	}
	if o.Pending+o.Dispatched > 0 {
		oldest, err := s.find(ctx, in(app.Pending, app.Dispatched), "_id", 1)
		if err != nil {
			return app.Outbox{}, err
		}
		if len(oldest) > 0 {
			o.Oldest = oldest[0].CreatedAt
		}
	}
	return o, nil
}

func (s *Store) find(ctx context.Context, filter bson.D, order string, limit int) ([]app.Request, error) {
	cursor, err := s.requests.Find(ctx, filter,
		options.Find().SetSort(bson.D{{Key: order, Value: 1}}).SetLimit(int64(limit)))
	if err != nil {
		return nil, failure("find requests", err)
	}
	var docs []requestDoc
	if err := cursor.All(ctx, &docs); err != nil {
		return nil, failure("read requests", err)
	}
	requests := make([]app.Request, len(docs))
	for i, doc := range docs {
		requests[i] = doc.request()
	}
	return requests, nil
}

// User implements app.Store.
func (s *Store) User(ctx context.Context, id string) (app.User, error) {
	user, err := findByID[app.User](ctx, s.users, id)
	if err != nil {
		return app.User{}, err
	}
	user.ID = id
	return user, nil
}

// Equipment implements app.Store.
func (s *Store) Equipment(ctx context.Context, id string) (app.Equipment, error) {
	equipment, err := findByID[app.Equipment](ctx, s.equipment, id)
	if err != nil {
		return app.Equipment{}, err
	}
	equipment.ID = id
	return equipment, nil
}

// PutWorld implements app.Store.
func (s *Store) PutWorld(ctx context.Context, w app.World) error {
	for _, u := range w.Users {
		if err := put(ctx, s.users, u.ID, u); err != nil {
			return failure("store user "+u.ID, err)
		}
	}
	for _, e := range w.Equipment {
		if err := put(ctx, s.equipment, e.ID, e); err != nil {
			return failure("store equipment "+e.ID, err)
		}
	}
	return nil
}

// Ping implements app.Store.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.client.Ping(ctx, readpref.Primary()); err != nil {
		return failure("ping", err)
	}
	return nil
}

// Close implements app.Store.
func (s *Store) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	return s.client.Disconnect(ctx)
}

func findByID[T any](ctx context.Context, in *mongo.Collection, id string) (T, error) {
	var doc T
	oid, err := bson.ObjectIDFromHex(id)
	if err != nil {
		return doc, app.ErrNotFound
	}
	err = in.FindOne(ctx, bson.D{{Key: "_id", Value: oid}}).Decode(&doc)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return doc, app.ErrNotFound
	}
	if err != nil {
		return doc, failure("find "+id+" in "+in.Name(), err)
	}
	return doc, nil
}

// put stores a document under an id. The server takes the _id of a new document from the filter.
func put(ctx context.Context, in *mongo.Collection, id string, doc any) error {
	oid, err := bson.ObjectIDFromHex(id)
	if err != nil {
		return fmt.Errorf("id %q: %w", id, err)
	}
	_, err = in.ReplaceOne(ctx, bson.D{{Key: "_id", Value: oid}}, doc, options.Replace().SetUpsert(true))
	return err
}
