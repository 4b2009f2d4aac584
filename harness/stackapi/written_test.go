package stackapi

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWrote_TellsFilesOfTests(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	s := &Server{}
	require.False(t, s.Wrote("report/record-1.json"))
	s.written.add(filepath.Join(dir, "report")+"/", "", filepath.Join(dir, "evidence", "a.test.js", "one"))
	for file, want := range map[string]bool{
		"report/record-1.json": true, "./report/pictures/1.html": true, filepath.Join(dir, "report", "report.html"): true,
		"evidence/a.test.js/one/1-verdict.txt": true, "evidence/a.test.js/two/1-verdict.txt": false,
		"report": false, "reports/x.js": false, "src/report/x.js": false, "app.js": false,
	} {
		require.Equal(t, want, s.Wrote(file), file)
	}
}
