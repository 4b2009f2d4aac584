// Package mongoping tells whether a MongoDB server answers, as a driver would see it.
//
//	err := mongoping.Ping(ctx, "mongodb://127.0.0.1:27017/?directConnection=true")
package mongoping

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// timeout bounds one ping; ctx may bound it further.
const timeout = 2 * time.Second

// Ping connects, asks the server for an answer, and disconnects.
func Ping(ctx context.Context, uri string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	o := options.Client().ApplyURI(uri).SetServerSelectionTimeout(timeout)
	if err := o.Validate(); err != nil {
		return fmt.Errorf("MongoDB address: %w", err)
	}
	// A driver that finds nobody listening waits half a second before it looks again: too long for whoever waits for
	// a server to start.
	for _, host := range o.Hosts {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", host)
		if err != nil {
			return fmt.Errorf("connect to MongoDB: %w", err)
		}
		conn.Close()
	}
	client, err := mongo.Connect(o)
	if err != nil {
		return fmt.Errorf("MongoDB address: %w", err)
	}
	defer func() { err = errors.Join(err, client.Disconnect(context.WithoutCancel(ctx))) }()
	if err := client.Ping(ctx, nil); err != nil {
		return fmt.Errorf("ping MongoDB: %w", err)
	}
	return nil
}
