package explore

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// docs/explore.md lists for its readers which faults can happen where, and what each is.
func TestRules_AreInDocument(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/explore.md")
	require.NoError(t, err)
	for _, table := range []string{hopTable(), kindTable()} {
		require.True(t, strings.Contains(string(page), "\n\n"+table+"\n"), "docs/explore.md lacks the table\n%s", table)
	}
}

// hopTable has a row for each point of a hop, with the faults on either side.
func hopTable() string {
	var points []tap.Point
	faults := map[tap.Point]map[When]string{}
	for _, r := range rules {
		if faults[r.at] == nil {
			faults[r.at] = map[When]string{}
			points = append(points, r.at)
		}
		faults[r.at][r.when] += fmt.Sprintf(" `%s`", r.do)
	}
	var b strings.Builder
	b.WriteString("| hop | as in | before it | after it |\n|---|---|---|---|\n")
	for _, at := range points {
		h := Hop{At: at, Function: "shop-confirm", Step: "send-email", Event: "order/paid", To: "kim@shop.test", N: 1}
		before, after := faults[at][Before]+faults[at][""], faults[at][After]
		fmt.Fprintf(&b, "| `%s` | %s |%s |%s |\n", at, h, before, after)
	}
	return b.String()
}

// kindTable has a row for each kind of fault.
func kindTable() string {
	var b strings.Builder
	b.WriteString("| fault | what happens |\n|---|---|\n")
	for _, k := range kinds {
		fmt.Fprintf(&b, "| `%s` | %s |\n", k.Kind, k.says)
	}
	return b.String()
}
