package explore_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/email"
	"github.com/odoo-maintenance/inngest-harness/app/inngest/functions"
	"github.com/odoo-maintenance/inngest-harness/app/mongostore"
	"github.com/odoo-maintenance/inngest-harness/app/storetest"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/explore"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

func TestMain(m *testing.M) {
	testenv.RunProgram()
	_ = os.Setenv("LOG_LEVEL", "error") // of the SDK, which would warn of every fault
	os.Exit(m.Run())
}

// request returns one request of the fixtures, which has been dispatched.
func request(t testing.TB) (r app.Request) {
	t.Helper()
	require.NoError(t, json.Unmarshal(fixtures.Requests()[0].Body, &r))
	r.ID, r.CreatedAt = "66f0000000000000000000aa", time.Now()
	r.Notification = app.NewNotification(email.MessageID(r.ID, "plant.example"), r.CreatedAt, testenv.Pace)
	r.Notification, _ = r.Notification.Dispatch(1, "01E", r.CreatedAt, testenv.Pace)
	return r
}

// notified expects one email about a request.
func notified(t testing.TB, technician string) harness.Expectation {
	t.Helper()
	var world app.World
	require.NoError(t, json.Unmarshal(fixtures.World().JSON(), &world))
	for _, u := range world.Users {
		if u.ID == technician {
			return harness.Expectation{
				Runs:        []harness.RunExpectation{{Function: functions.SendRequestNotificationID, Status: harness.StatusCompleted}},
				Mail:        []harness.MailExpectation{{To: u.Email}},
				NoOtherRuns: true, NoOtherMail: true,
			}
		}
	}
	require.FailNow(t, "the fixtures have no such technician")
	return harness.Expectation{}
}

// inMemory makes the app with a store in memory that has one request.
func inMemory(r app.Request) stack.HandlerFunc {
	return func(ctx context.Context, env harness.Env) (http.Handler, error) {
		store := storetest.NewMemory()
		var world app.World
		if err := json.Unmarshal(fixtures.World().JSON(), &world); err != nil {
			return nil, err
		}
		if err := store.PutWorld(ctx, world); err != nil {
			return nil, err
		}
		if err := store.CreateRequest(ctx, r); err != nil {
			return nil, err
		}
		return testenv.Functions(ctx, env, store)
	}
}

// inProcess explores the app in this process, with so many schedules of two faults and more.
func inProcess(t *testing.T, depth, schedules int) *explore.Result {
	t.Helper()
	r := request(t)
	e := r.Event()
	result := harnesstest.Explore(t, explore.InProcess(inMemory(r), simstack.WorkbenchOptions{}), explore.Options{
		Send:   []harness.Event{{IdempotencyKey: e.IdempotencyKey, Name: e.Name, Data: e.Data}},
		Expect: notified(t, r.TechnicianID), Depth: depth, Schedules: schedules,
	})
	require.Equal(t, result.Single.Possible, result.Single.Ran)
	return result
}

func TestApp_InProcess(t *testing.T) { inProcess(t, 2, 100) }

// program returns the app as a program, on a backend.
func program(t testing.TB, b harness.Backend) explore.Target {
	t.Helper()
	path, err := testenv.Program(t.TempDir())
	require.NoError(t, err)
	return explore.Program(b, stack.Options{}, stack.Command{
		Args: []string{path},
		Env:  []string{"MAIL_TIMEOUT=6s", "REDISPATCH_AFTER=1h"},
	})
}

// notificationsAreSettled says that the notification of every stored request is sent, or failed with a reason.
func notificationsAreSettled(ctx context.Context, env harness.Env) (err error) {
	store, err := mongostore.Open(ctx, env.MongoURI)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close(context.WithoutCancel(ctx))) }()
	requests, err := store.Requests(ctx, "", "", 1000)
	for _, r := range requests {
		if n := r.Notification; n.State != app.Sent && (n.State != app.Failed || n.Reason == "") {
			err = errors.Join(err, fmt.Errorf("the notification of request %s is %s, with the reason %q", r.ID, n.State, n.Reason))
		}
	}
	return err
}

// created explores what follows when a request is created through the app's API.
func created(t testing.TB) explore.Options {
	t.Helper()
	return explore.Options{
		Setup: func(ctx context.Context, env harness.Env) error {
			store, err := testenv.Seed(ctx, env.MongoURI, fixtures.World())
			if err != nil {
				return err
			}
			return store.Close(ctx)
		},
		Trigger: func(ctx context.Context, env harness.Env) (string, error) {
			// A fault may kill the app before it has answered.
			r, err := testenv.CreateOnce(ctx, env.AppURL, rand.Text(), fixtures.Requests()[0])
			return r.Event().IdempotencyKey, err
		},
		Expect:    notified(t, request(t).TechnicianID),
		Invariant: notificationsAreSettled,
		Depth:     1,
		// Most of the time they wait for the claims of attempts that were killed.
		Parallel: 4, RetryPause: 3 * time.Second,
	}
}

// asProgram explores the app as a program.
func asProgram(t *testing.T, b harness.Backend, change func(*explore.Options)) {
	t.Helper()
	o := created(t)
	if change != nil {
		change(&o)
	}
	result := harnesstest.Explore(t, program(t, b), o)
	require.Equal(t, result.Single.Possible, result.Single.Ran)
}

func TestApp_AsProgram(t *testing.T) {
	asProgram(t, simstack.New(local.New(local.Options{}), simstack.Options{}), nil)
}
