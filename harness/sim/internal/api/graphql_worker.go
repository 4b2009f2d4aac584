package api

import "github.com/graph-gophers/graphql-go"

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

// WorkerConnections lists the workers that are connected: none.
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
	return workersPage{Edges: []workerEdge{}}
}
