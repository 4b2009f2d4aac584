package harnesstest

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/attach"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
)

func TestChoose(t *testing.T) {
	t.Parallel()
	o := Options{
		Backends: []harness.Backend{local.New(local.Options{}), attach.New(attach.Options{})},
		Handler:  func(context.Context, harness.Env) (http.Handler, error) { return nil, nil },
	}
	tests := map[string]struct {
		byDefault []string
		variable  string
		want      []string
		err       string
	}{
		"the first":               {want: []string{"local"}},
		"by default":              {byDefault: []string{"attach"}, want: []string{"attach"}},
		"several":                 {variable: "attach, local", want: []string{"attach", "local"}},
		"one":                     {variable: "attach", want: []string{"attach"}},
		"twice is once":           {variable: "local,local,attach,local", want: []string{"local", "attach"}},
		"unknown, by default":     {byDefault: []string{"cloud"}, err: `harnesstest: Options.Default names the backend "cloud", which this suite does not have; it has local, attach`},
		"unknown, of several":     {variable: "local, cloud", err: `harnesstest: HARNESS_BACKENDS names the backend "cloud", which this suite does not have; it has local, attach`},
		"a variable over default": {byDefault: []string{"local"}, variable: "attach", want: []string{"attach"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := o
			o.Default = test.byDefault
			chosen, err := choose(o, test.variable)
			if test.err != "" {
				require.EqualError(t, err, test.err)
				return
			}
			require.NoError(t, err)
			var names []string
			for _, b := range chosen {
				names = append(names, b.Name())
			}
			require.Equal(t, test.want, names)
		})
	}
}

// broken is a backend that cannot start, after it has left so much in its directory.
type broken struct {
	harness.Backend
	log string
}

func (broken) Name() string { return "broken" }
func (b broken) Start(_ context.Context, o harness.BackendOptions) (harness.Servers, error) {
	if b.log != "" {
		_ = os.WriteFile(filepath.Join(o.Dir, "mongo.log"), []byte(b.log), 0o600)
	}
	return nil, context.DeadlineExceeded
}

func TestSharedStack_NamesLogsOfFailedStart(t *testing.T) {
	t.Parallel()
	s := &Suite{shared: map[string]*shared{"broken": {}}}
	_, err := s.sharedStack(t, broken{log: "out of files"})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, dir, ok := strings.Cut(err.Error(), "\nthe logs of this start are kept in ")
	require.True(t, ok, "%v", err)
	require.FileExists(t, filepath.Join(dir, "mongo.log"))
	require.NoError(t, os.RemoveAll(dir))
}

func TestSharedStack_NamesNoLogsWhereThereAreNone(t *testing.T) {
	t.Parallel()
	s := &Suite{shared: map[string]*shared{"broken": {}}}
	_, err := s.sharedStack(t, broken{})
	require.EqualError(t, err, "start the stack on the broken backend: context deadline exceeded")
}
