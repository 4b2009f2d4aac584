package harnesstest_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

var suite = harnesstest.New(harnesstest.Options{
	Backends:    []harness.Backend{local.New(local.Options{})},
	Fixed:       !isChild(), // the children show how the variables choose
	Unsupported: map[string]string{"attach": "they end servers"},
	Handler:     newApp,
	Pool:        1,
})

func TestMain(m *testing.M) { os.Exit(suite.Main(m)) }

type ping struct {
	Fail bool `json:"fail"`
}

// newApp makes an app with one function, which fails if its event says so.
func newApp(_ context.Context, env harness.Env) (http.Handler, error) {
	if os.Getenv(brokenVariable) != "" {
		return nil, errors.New("the pinger is broken")
	}
	dev, register := true, env.InngestURL+"/fn/register"
	client, err := inngestgo.NewClient(inngestgo.ClientOpts{
		AppID: "pinger", Dev: &dev, EventKey: &env.EventKey, EventAPIBaseURL: &env.InngestURL, APIBaseURL: &env.InngestURL,
		RegisterURL: &register, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	_, err = inngestgo.CreateFunction(client, inngestgo.FunctionOpts{ID: "pong", Retries: inngestgo.IntPtr(0)}, inngestgo.EventTrigger("test/pinged", nil),
		func(ctx context.Context, in inngestgo.Input[ping]) (any, error) {
			return step.Run(ctx, "answer", func(context.Context) (string, error) {
				if in.Event.Data.Fail {
					return "", errors.New("it was asked to fail" + os.Getenv(keyVariable))
				}
				return "pong", nil
			})
		})
	return client.Serve(), err
}

func pong(status harness.Status) harness.Expectation {
	return harness.Expectation{Runs: []harness.RunExpectation{{Function: "pong", Status: status}}, NoOtherRuns: true, NoOtherMail: true}
}

func TestExpect_PassesWhereItHolds(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		v := t.SendAndExpect(harness.Event{Name: "test/pinged", Data: ping{}}, pong(harness.StatusCompleted))
		require.Equal(t, harness.Holds, v.Outcome)
	})
}

func TestSalt_DiffersBetweenTests(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		require.Regexp(t, `^[a-z0-9]{10}$`, t.Salt())
		require.Equal(t, t.Salt(), t.Salt())
	})
}

func TestRun_SubtestHasItsOwnSalt(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		parent := t.Salt()
		t.Run("inner", func(t *harnesstest.T) { require.NotEqual(t, parent, t.Salt()) })
	})
}

func TestRunAlone_HasOwnStack(t *testing.T) {
	suite.RunAlone(t, func(o *stack.Options) { o.WithoutTaps = true }, func(t *harnesstest.T) {
		require.Nil(t, t.Stack.Taps())
		t.SendAndExpect(harness.Event{Name: "test/pinged", Data: ping{}}, pong(harness.StatusCompleted))
	})
}

func TestRunAlone_TakesStackFromPool(t *testing.T) {
	suite.RunAlone(t, nil, func(t *harnesstest.T) {
		require.NoError(t, t.Stack.Stop(t.Context(), harness.ServiceMailHog), "no other test uses it")
	})
}

// The tests whose names begin with TestChild fail, or make the run fail, on purpose: they run in a child process
// that the tests below start, and do nothing in this one.
const childVariable = "HARNESSTEST_CHILD"

// thisPackage is the package that the children's evidence and records are of.
const thisPackage = "github.com/odoo-maintenance/inngest-harness/harness/harnesstest"

// keyVariable has a secret of the app's.
const keyVariable = "PINGER_API_KEY"

// brokenVariable keeps the app, and so the stack, from starting.
const brokenVariable = "PINGER_BROKEN"

func isChild() bool { return os.Getenv(childVariable) != "" }

func TestChildExpectationBroken(t *testing.T) {
	if !isChild() {
		return
	}
	suite.Run(t, func(t *harnesstest.T) {
		t.SendAndExpect(harness.Event{Name: "test/pinged", Data: ping{Fail: true}}, pong(harness.StatusCompleted))
	})
}

func TestChildSubtest(t *testing.T) {
	if !isChild() {
		return
	}
	suite.Run(t, func(t *harnesstest.T) {
		t.Run("inner", func(t *harnesstest.T) {
			t.SendAndExpect(harness.Event{Name: "test/pinged", Data: ping{Fail: true}}, pong(harness.StatusCompleted))
		})
		t.Log("the parent goes on")
	})
}

func TestChildAlone(t *testing.T) {
	if !isChild() {
		return
	}
	suite.RunAlone(t, nil, func(t *harnesstest.T) {
		t.Judge(t.Send(harness.Event{Name: "test/pinged", Data: ping{Fail: true}}), pong(harness.StatusCompleted), stack.JudgeOptions{})
		t.Error("the key is", os.Getenv(keyVariable))
	})
}

func TestChildFaultInVain(t *testing.T) {
	if !isChild() {
		return
	}
	suite.Run(t, func(t *harnesstest.T) {
		t.Inject(tap.Fault{At: tap.AtStep, Do: tap.DropAnswer, Step: "misspelt"})
		t.SendAndExpect(harness.Event{Name: "test/pinged", Data: ping{}}, pong(harness.StatusCompleted))
	})
}

func TestChildInvalidExpectation(t *testing.T) {
	if !isChild() {
		return
	}
	suite.Run(t, func(t *harnesstest.T) {
		t.Expect("01M83FJ32YVN1RFT5Y9S8YK71W", harness.Expectation{})
	})
}

func TestChildPanics(t *testing.T) {
	if !isChild() {
		return
	}
	suite.Run(t, func(*harnesstest.T) { panic("at the disco") })
}

func TestChildExits(t *testing.T) {
	if !isChild() {
		return
	}
	os.Exit(3)
}

func TestChildFailsOutsideTheSuite(t *testing.T) {
	if !isChild() {
		return
	}
	suite.Run(t, func(*harnesstest.T) {})
	t.Cleanup(func() { t.Error("after all of it") })
}

// child runs one of these tests and returns what it printed and whether it passed.
func child(t *testing.T, test string, env ...string) (output string, passed bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$", "-test.v")
	cmd.Env = append(append(os.Environ(), childVariable+"=1", harnesstest.BackendsVariable+"=", report.Variable+"="), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

func TestExpect_FailsWithVerdictAndKeepsEvidence(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, passed := child(t, "TestChildExpectationBroken", harnesstest.EvidenceVariable+"="+dir)
	require.False(t, passed, "%s", out)
	require.Contains(t, out, "expectation broken: step answer FAILED: attempt 1: it was asked to fail; so run of pong: status is FAILED, want COMPLETED")
	require.Contains(t, out, "✗ step answer FAILED   ← first broken hop")
	require.Regexp(t, `suite_test.go:\d+: evidence: `+dir, out, "said of the test")
	require.Contains(t, out, "logs of the shared local stack are in ")

	kept := filepath.Join(dir, filepath.FromSlash(thisPackage), "TestChildExpectationBroken", "local")
	verdict, err := os.ReadFile(filepath.Join(kept, "1-verdict.txt"))
	require.NoError(t, err)
	require.Contains(t, string(verdict), "first broken hop")
	require.FileExists(t, filepath.Join(kept, "1-verdict.json"))
	require.FileExists(t, filepath.Join(kept, "inngest.log"))
}

func TestEvidence_HasWholeLogsWithoutSecrets(t *testing.T) {
	t.Parallel()
	dir, records := t.TempDir(), t.TempDir()
	const key = "correct-horse"
	out, passed := child(t, "TestChildAlone", harnesstest.EvidenceVariable+"="+dir, report.Variable+"="+records, keyVariable+"="+key)
	require.False(t, passed, "%s", out)
	require.Contains(t, out, "the key is ***")
	require.NotContains(t, out, key)

	kept := filepath.Join(dir, filepath.FromSlash(thisPackage), "TestChildAlone", "local")
	for file, says := range map[string]string{
		"1-verdict.txt": "it was asked to fail***",
		"mailhog.log":   "[SMTP] Binding to address", // what it says first
		"mongo.log":     "",
		"inngest.log":   "",
	} {
		text, err := os.ReadFile(filepath.Join(kept, file))
		require.NoError(t, err)
		require.Contains(t, string(text), says)
	}
	files := 0
	for _, root := range []string{dir, records} {
		require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			files++
			text, err := os.ReadFile(path)
			require.NotContains(t, string(text), key, path)
			return err
		}))
	}
	require.Greater(t, files, 5)
}

func TestRun_SubtestKeepsItsOwnEvidence(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, passed := child(t, "TestChildSubtest", harnesstest.EvidenceVariable+"="+dir)
	require.False(t, passed)
	require.Contains(t, out, "the parent goes on", "a failed subtest does not end its parent")
	verdict, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(thisPackage), "TestChildSubtest/local/inner", "1-verdict.txt"))
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(verdict), "step answer FAILED")
}

func TestInject_FailsWhereFaultHasNotActed(t *testing.T) {
	t.Parallel()
	records := t.TempDir()
	out, passed := child(t, "TestChildFaultInVain", harnesstest.EvidenceVariable+"="+t.TempDir(), report.Variable+"="+records)
	require.False(t, passed)
	const says = `a fault of the test has not acted: drop-answer at step "misspelt"`
	require.Contains(t, out, says)
	read, err := report.Load(records)
	require.NoError(t, err)
	require.Equal(t, []string{says}, read.Records[0].Failures)
}

func TestInject_EndsWithTheTest(t *testing.T) {
	suite.RunAlone(t, nil, func(t *harnesstest.T) {
		var lost *tap.Injection
		t.Run("inner", func(t *harnesstest.T) {
			lost = t.Inject(tap.Fault{At: tap.AtStep, Do: tap.DropAnswer, Step: "answer", Times: -1})
			t.SendAndExpect(harness.Event{Name: "test/pinged", Data: ping{}}, pong(harness.StatusFailed))
		})
		require.False(t, lost.Armed())
		t.SendAndExpect(harness.Event{Name: "test/pinged", Data: ping{}}, pong(harness.StatusCompleted))
	})
}

func TestExpect_FailsWhereExpectationIsInvalid(t *testing.T) {
	t.Parallel()
	out, passed := child(t, "TestChildInvalidExpectation", harnesstest.EvidenceVariable+"="+t.TempDir())
	require.False(t, passed)
	require.Contains(t, out, "it asserts nothing, so it would hold whatever happened")
}

func TestBackends_AreChosenByNameAndNeverLeftOut(t *testing.T) {
	t.Parallel()
	out, passed := child(t, "TestExpect_PassesWhereItHolds", harnesstest.BackendsVariable+"=local,containers")
	require.False(t, passed)
	require.Contains(t, out, `HARNESS_BACKENDS names the backend "containers", which this suite does not have; it has local`)

	out, passed = child(t, "TestExpect_PassesWhereItHolds", harnesstest.BackendsVariable+"=attach")
	require.False(t, passed)
	require.Equal(t, "harnesstest: these tests do not run on the backend \"attach\", because they end servers: run them on local\n", out)

	out, passed = child(t, "TestExpect_PassesWhereItHolds", harnesstest.BackendsVariable+"=podman")
	require.False(t, passed)
	require.Contains(t, out, `HARNESS_BACKENDS names the backend "podman"`)

	out, passed = child(t, "TestExpect_PassesWhereItHolds", harnesstest.BackendsVariable+"=local")
	require.True(t, passed, "%s", out)
}

func TestReport_HasEveryKindOfFailure(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		test, env string
		want      []string // in the summary
	}{
		"a shared stack that does not start": {"TestSalt_DiffersBetweenTests", brokenVariable + "=1", []string{"1 of 1 test failed", "TestSalt&#95;DiffersBetweenTests", "the pinger is broken"}},
		"a stack of one's own":               {"TestRunAlone_HasOwnStack", brokenVariable + "=1", []string{"1 of 1 test failed", "TestRunAlone&#95;HasOwnStack", "the pinger is broken"}},
		"a panic":                            {"TestChildPanics", "", []string{"1 of 1 test failed", "the package's tests did not finish"}},
		"the end of the program":             {"TestChildExits", "", []string{"1 of 1 test failed", "the package's tests did not finish"}},
		"a test outside the suite":           {"TestChildFailsOutsideTheSuite", "", []string{"1 of 2 tests failed", "the package failed, and none of the tests that leave records"}},
		"an unknown backend":                 {"TestSalt_DiffersBetweenTests", harnesstest.BackendsVariable + "=podman", []string{"1 of 1 test failed", "the package failed"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			// What an earlier run has left says that all is well.
			require.NoError(t, report.Save(dir, report.Record{Package: thisPackage, Test: test.test + "/local", Backend: "local", Outcome: report.Passed}))
			_, err := report.Write(dir)
			require.NoError(t, err)

			out, passed := child(t, test.test, report.Variable+"="+dir, harnesstest.EvidenceVariable+"="+t.TempDir(), test.env)
			require.False(t, passed, "%s", out)
			summary, err := os.ReadFile(filepath.Join(dir, report.SummaryFile))
			require.NoError(t, err)
			for _, want := range test.want {
				require.Contains(t, string(summary), want)
			}
			junit, err := os.ReadFile(filepath.Join(dir, report.JUnitFile))
			require.NoError(t, err)
			require.Contains(t, string(junit), "<failure")
			records, err := report.Load(dir)
			require.NoError(t, err)
			for _, r := range records.Records {
				require.True(t, r.Outcome == report.Failed || r.Test == "TestChildFailsOutsideTheSuite/local", r.Test)
			}
		})
	}
}

func TestReport_IsOfLastRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, report.Save(dir, report.Record{Package: thisPackage, Test: "TestGone/local", Backend: "local", Outcome: report.Failed}))
	out, passed := child(t, "TestSalt_DiffersBetweenTests", report.Variable+"="+dir)
	require.True(t, passed, "%s", out)
	summary, err := os.ReadFile(filepath.Join(dir, report.SummaryFile))
	require.NoError(t, err)
	require.Contains(t, string(summary), "1 test passed")

	out, passed = child(t, "TestNone", report.Variable+"="+dir)
	require.True(t, passed, "%s", out)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries, "no test ran, so there is nothing to report")

	_, passed = child(t, "TestSalt_DiffersBetweenTests", report.Variable+"=report")
	require.False(t, passed, "the path is not absolute")
}
