package inngestapi

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReturned_IsWhatTheOpcodeHolds(t *testing.T) {
	t.Parallel()
	for output, want := range map[string]string{
		`[{"data":{"ok":true},"id":"0737","op":"RunComplete"}]`:                             `{"ok":true}`,
		`[{"data":null,"id":"0737","op":"RunComplete"}]`:                                    `null`,
		`[{"id":"0737","op":"RunComplete"}]`:                                                ``,
		`[{"op":"RunComplete","data":1}]`:                                                   `[{"op":"RunComplete","data":1}]`,
		`[{"data":1,"id":"1","op":"StepRun"},{"data":"ok","id":"0737","op":"RunComplete"}]`: `"ok"`,
		`[{"data":1},{"data":"ok","id":"0737","op":"RunComplete"}]`:                         `[{"data":1},{"data":"ok","id":"0737","op":"RunComplete"}]`,
		`[{"data":1,"id":"0737","op":"StepRun"}]`:                                           `[{"data":1,"id":"0737","op":"StepRun"}]`,
		`{"ok":true}`: `{"ok":true}`,
		`[]`:          `[]`,
		`plain`:       `plain`,
	} {
		require.Equal(t, want, string(returned([]byte(output))), output)
	}
}
