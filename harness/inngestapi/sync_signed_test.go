package inngestapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/inngest/inngestgo"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
)

const (
	signingKey = "0123456789abcdef"
	otherKey   = "fedcba9876543210"
)

// An app in production mode answers a signed PUT with its functions, and refuses an unsigned one.
func TestSync_RegistersWhatAnAppInProductionModeAnswers(t *testing.T) {
	t.Parallel()
	dev := false
	client, err := inngestgo.NewClient(inngestgo.ClientOpts{AppID: "signed", Dev: &dev, SigningKey: inngestgo.StrPtr("signkey-prod-" + signingKey)})
	require.NoError(t, err)
	_, err = inngestgo.CreateFunction(client, inngestgo.FunctionOpts{ID: "f"}, inngestgo.EventTrigger("signed/f", nil), nothing)
	require.NoError(t, err)
	app := httptest.NewServer(client.Serve())
	defer app.Close()
	at := inngestapi.App{URL: app.URL + "/api/inngest", Host: "app.test:3000"}

	var registered struct {
		URL, AppName, SDK string
		Functions         []struct{ ID string }
	}
	selfHosted := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer "+signingKey:
			http.Error(w, `{"error":"unauthorized"}`, http.StatusUnauthorized)
		case r.URL.Path == "/fn/register":
			_ = json.NewDecoder(r.Body).Decode(&registered)
		default:
			_, _ = w.Write([]byte(`{"data":{"functions":[{"slug":"signed-f","url":"http://app.test:3000/api/inngest?fnId=signed-f","config":"{}","app":{"externalID":"signed"}}]}}`))
		}
	}))
	defer selfHosted.Close()
	as := func(key string) *inngestapi.Client {
		c := inngestapi.New(selfHosted.URL, inngestapi.Options{SigningKey: key})
		t.Cleanup(func() { _ = c.Close(t.Context()) })
		return c
	}

	functions, err := as(signingKey).Sync(limit(t), at)
	require.NoError(t, err)
	require.Len(t, functions, 1)
	require.Equal(t, "http://app.test:3000/api/inngest", registered.URL)
	require.Equal(t, "signed", registered.AppName)
	require.Contains(t, registered.SDK, "go:")
	require.Equal(t, []struct{ ID string }{{"signed-f"}}, registered.Functions)

	_, err = as(otherKey).Sync(limit(t), at)
	require.EqualError(t, err, "sync: the app at "+at.URL+" refuses the server's signature: start it with INNGEST_SIGNING_KEY set to the server's signing key")
	_, err = as("").Sync(limit(t), at)
	require.ErrorContains(t, err, "takes signed calls only")

	takesOther := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Inngest-Sdk", "go:v1")
		w.Header().Set("X-Inngest-Sync-Kind", "in_band")
		_, _ = w.Write([]byte(`{"url":"http://app.test/api/inngest"}`))
	}))
	defer takesOther.Close()
	_, err = as(otherKey).Sync(limit(t), inngestapi.App{URL: takesOther.URL})
	require.ErrorContains(t, err, "the server does not take this signing key")
}
