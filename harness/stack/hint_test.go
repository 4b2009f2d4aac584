package stack_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// watch opens a change stream, which the stand-in for MongoDB lacks.
func watch(ctx context.Context, uri string) error {
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		return err
	}
	_, err = client.Database("shop").Collection("orders").Watch(ctx, mongo.Pipeline{})
	return errors.Join(err, client.Disconnect(ctx))
}

const lacksChangeStreams = "the database is FerretDB, a stand-in for MongoDB that lacks change streams: for a real MongoDB set MONGOD_BIN"

func TestHint_FollowsAnErrorThatComesFromTheStandIn(t *testing.T) {
	t.Setenv("MONGOD_BIN", "")
	st := startPlain(t, stack.Options{})

	err := st.RunHandler(t.Context(), func(ctx context.Context, env harness.Env) (http.Handler, error) {
		return nil, watch(ctx, env.MongoURI)
	})
	require.ErrorContains(t, err, "is not implemented yet\n"+lacksChangeStreams, "an app that does not start")
	require.ErrorAs(t, err, new(mongo.CommandError))

	require.NoError(t, st.RunCommand(t.Context(), shopProgram()))
	judge := func(e harness.Event, expected harness.RunExpectation) *harness.Verdict {
		ids, err := st.Send(t.Context(), e)
		require.NoError(t, err)
		v, err := st.Judge(t.Context(), ids[0], harness.Expectation{Runs: []harness.RunExpectation{expected}}, stack.JudgeOptions{})
		require.NoError(t, err)
		return v
	}
	shows := func(v *harness.Verdict) {
		t.Helper()
		require.Equal(t, harness.Broken, v.Outcome, "%s", v)
		require.Equal(t, 1, strings.Count(v.String(), lacksChangeStreams), "%s", v)
		require.Contains(t, v.String(), "  hint: "+lacksChangeStreams)
		trace, err := st.Trace(t.Context(), v.Trace.EventID)
		require.NoError(t, err)
		require.Equal(t, v.Trace.Hint, trace.Hint)
	}
	shows(judge(harness.Event{Name: "shop/watched", Data: order{}}, ran("watch")))
	shows(judge(ordered("shop/watched", "log@shop.test"), ran("watch")))

	// Where the error was expected, nothing is to be explained; nor where the database is not the cause.
	v := judge(harness.Event{Name: "shop/watched", Data: order{}}, harness.RunExpectation{Function: "watch", Status: harness.StatusFailed})
	require.Equal(t, harness.Holds, v.Outcome)
	require.Empty(t, v.Trace.Hint)
}

// The command prints the short form of an error, which must keep the hint and leave out what the app printed.
func TestHint_IsInTheShortForm(t *testing.T) {
	t.Setenv("MONGOD_BIN", "")
	st := startOnSim(t, stack.Options{})
	err := st.RunCommand(t.Context(), stack.Command{Args: []string{"sh", "-c", `echo 'stage "$changeStream" is not implemented yet'; exit 3`}})
	brief, ok := errors.AsType[interface {
		error
		Brief() string
	}](err)
	require.True(t, ok)
	require.Contains(t, brief.Brief(), "exited with status 3")
	require.Contains(t, brief.Brief(), "; "+lacksChangeStreams)
	require.Equal(t, 1, strings.Count(brief.Brief(), "\n")+1, "one line")
}

func TestHint_SaysNothingOfOtherErrors(t *testing.T) {
	t.Parallel()
	st := startOnSim(t, stack.Options{})
	require.NoError(t, st.RunHandler(t.Context(), newShop))
	ids, err := st.Send(t.Context(), ordered("shop/broken", "kim@shop.test"))
	require.NoError(t, err)
	v, err := st.Judge(t.Context(), ids[0], harness.Expectation{Runs: []harness.RunExpectation{ran("broken")}}, stack.JudgeOptions{})
	require.NoError(t, err)
	require.Equal(t, harness.Broken, v.Outcome)
	require.Empty(t, v.Trace.Hint)
	require.NotContains(t, v.String(), "hint")
}
