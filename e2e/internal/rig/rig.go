// Package rig puts the notification app on a stack, for tests and for the commands of this module.
//
//	stack, err := stack.Start(ctx, local.New(local.Options{}), stack.Options{})
//	err = stack.RunHandler(ctx, rig.App)
//	plant, store, err := rig.Seed(ctx, env.MongoURI, salt)
package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/config"
	"github.com/odoo-maintenance/inngest-harness/app/mongostore"
	"github.com/odoo-maintenance/inngest-harness/app/service"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/attach"
	"github.com/odoo-maintenance/inngest-harness/harness/containers"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
)

// Backends are all that there are. Tests run on those that HARNESS_BACKENDS names.
func Backends() []harness.Backend {
	return []harness.Backend{
		local.New(local.Options{}), containers.New(containers.Options{}), attach.New(attach.Options{}),
		simstack.New(local.New(local.Options{}), simstack.Options{}),
	}
}

// App makes the notification app in this process, from the variables that a program of its own would read. It is a
// [stack.HandlerFunc].
func App(ctx context.Context, env harness.Env) (http.Handler, error) {
	vars := map[string]string{}
	for _, v := range env.Environ() {
		key, value, _ := strings.Cut(v, "=")
		vars[key] = value
	}
	c, err := config.Parse(vars)
	if err != nil {
		return nil, err
	}
	s, err := service.New(ctx, c, service.Deps{})
	if err != nil {
		return nil, err
	}
	return handler{s.Handler(), s}, nil
}

// handler is the app's routes with the Close that ends what runs behind them.
type handler struct {
	http.Handler
	service *service.Service
}

// Close ends the app in order.
func (h handler) Close(ctx context.Context) error { return h.service.Close(ctx) }

// Seed puts a copy of a plant into a database, one in which every id and address is the salt's alone, and returns it
// with a store on that database. The caller closes the store.
func Seed(ctx context.Context, mongoURI string, plant fixtures.Plant, salt string) (fixtures.Plant, app.Store, error) {
	plant = plant.Clone(salt)
	store, err := put(ctx, mongoURI, plant)
	return plant, store, err
}

// SeedWorld puts a plant as it is into a database.
func SeedWorld(ctx context.Context, mongoURI string, plant fixtures.Plant) error {
	store, err := put(ctx, mongoURI, plant)
	if err != nil {
		return err
	}
	return store.Close(ctx)
}

func put(ctx context.Context, mongoURI string, plant fixtures.Plant) (app.Store, error) {
	store, err := mongostore.Open(ctx, mongoURI)
	if err != nil {
		return nil, err
	}
	var world app.World
	err = json.Unmarshal(plant.JSON(), &world)
	if err == nil {
		err = store.PutWorld(ctx, world)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("seed the plant: %w", err), store.Close(ctx))
	}
	return store, nil
}
