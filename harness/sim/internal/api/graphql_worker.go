package api

import (
	"slices"
	"strings"

	"github.com/graph-gophers/graphql-go"

	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/gateway"
)

type (
	workersPage struct {
		Edges      []workerEdge
		PageInfo   pageInfo
		TotalCount int32
	}
	workerEdge struct {
		Node   workerObject
		Cursor string
	}
	workerObject struct {
		ID, GatewayID                     text
		InstanceID, WorkerIP              string
		MaxWorkerConcurrency              bigInt
		AppName                           *string
		AppID                             *text
		App                               *appObject
		ConnectedAt                       graphql.Time
		LastHeartbeatAt, DisconnectedAt   *graphql.Time
		DisconnectReason                  *string
		Status, GroupHash                 string
		SDKLang, SDKVersion, SDKPlatform  string
		SyncID                            *text
		BuildID, AppVersion               *string
		FunctionCount, CPUCores, MemBytes int32
		OS                                string
	}
)

// bigInt is the scalar Int64.
type bigInt int64

// ImplementsGraphQLType implements graphql-go's scalars.
func (bigInt) ImplementsGraphQLType(name string) bool { return name == "Int64" }

// UnmarshalGraphQL implements graphql-go's scalars.
func (*bigInt) UnmarshalGraphQL(any) error { return nil }

// WorkerConnections lists the workers that are connected, once for each app of theirs. Those that were are not kept.
func (q *query) WorkerConnections(struct {
	First   int32
	After   *string
	OrderBy []struct{ Field, Direction string }
	Filter  struct {
		From, Until *graphql.Time
		TimeField   string
		Status      *[]string
		AppIDs      *[]text
	}
}) workersPage {
	out := workersPage{Edges: []workerEdge{}}
	for _, a := range q.Apps(struct{ Filter *struct{ Method *string } }{}) {
		for _, w := range q.gateway.Workers() {
			if slices.Contains(w.Apps, a.app.ID) {
				out.Edges = append(out.Edges, workerEdge{Node: newWorker(a, w), Cursor: w.ID})
			}
		}
	}
	out.TotalCount = int32(len(out.Edges))
	return out
}

func newWorker(a appObject, w gateway.Worker) workerObject {
	language, version, _ := strings.Cut(w.SDK, ":")
	app, name, status := text(a.ID()), a.Name(), "READY"
	if w.Draining {
		status = "DRAINING"
	}
	return workerObject{
		ID: text(w.ID), GatewayID: text(w.ID), InstanceID: w.InstanceID, WorkerIP: "127.0.0.1",
		MaxWorkerConcurrency: bigInt(w.Concurrency), AppName: &name, AppID: &app, App: &a,
		ConnectedAt: graphql.Time{Time: w.Connected}, LastHeartbeatAt: &graphql.Time{Time: w.LastSeen},
		Status: status, SDKLang: language, SDKVersion: version, SDKPlatform: w.Platform, FunctionCount: a.FunctionCount(),
	}
}
