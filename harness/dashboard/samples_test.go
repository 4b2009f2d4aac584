package dashboard

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

func TestReadSamples_ReadsADirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("b.json", `{"name":"shop/ordered","data":{"to":"kim@plant.test"}}`)
	write("a.json", `{"name":"shop/shipped"}`)
	write("notes.txt", `no sample`)

	events, err := ReadSamples(dir, "")
	require.NoError(t, err)
	require.Equal(t, []Sample{
		{Name: "a", Event: harness.Event{Name: "shop/shipped", Data: json.RawMessage(nil)}},
		{Name: "b", Event: harness.Event{Name: "shop/ordered", Data: json.RawMessage(`{"to":"kim@plant.test"}`)}},
	}, events)

	requests, err := ReadSamples(dir, "POST /api/orders")
	require.NoError(t, err)
	require.Equal(t, Sample{Name: "a", Method: "POST", Path: "/api/orders", Body: []byte(`{"name":"shop/shipped"}`)}, requests[0])

	write("c.json", `{"subject":"no event"}`)
	_, err = ReadSamples(dir, "")
	require.EqualError(t, err, "read samples: "+filepath.Join(dir, "c.json")+" is no event: it needs a name and data, or say where such files are posted to")
	_, err = ReadSamples(dir, "/api/orders")
	require.EqualError(t, err, `samples go to "/api/orders": say a method and a path, as in "POST /api/requests"`)
	empty := t.TempDir()
	_, err = ReadSamples(empty, "")
	require.EqualError(t, err, "read samples from "+empty+": there is no .json file in it")
}

func TestSample_RefusesWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	event := harness.Event{Name: "a/b"}
	for want, s := range map[string]Sample{
		"it has no name": {Event: event},
		"x: it needs an event or a path of the app, and not both": {Name: "x"},
		"y: it needs an event or a path of the app, and not both": {Name: "y", Event: event, Path: "/p"},
		`z: the path "p" begins with no slash`:                    {Name: "z", Path: "p"},
	} {
		require.EqualError(t, s.check(), want)
	}
	require.NoError(t, Sample{Name: "x", Event: event}.check())
}
