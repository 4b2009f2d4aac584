package strictjson_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/jsontime"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/strictjson"
)

type sample struct {
	inner
	Name  string            `json:"name"`
	Count *int              `json:"count"`
	List  []inner           `json:"list"`
	Texts map[string]string `json:"texts"`
	Raw   json.RawMessage   `json:"raw"`
	Any   any               `json:"any"`
	At    time.Time         `json:"at"`
	For   jsontime.Duration `json:"for"`
	Left  string            `json:"-"`
}

type inner struct {
	ID   string  `json:"id"`
	Self *itself `json:"self"`
}

// itself is a type that decodes itself.
type itself struct {
	Of int `json:"of"`
}

func (i *itself) UnmarshalJSON(data []byte) error {
	type plain itself
	if err := json.Unmarshal(data, (*plain)(i)); err != nil || i.Of == 0 {
		return err
	}
	return fmt.Errorf("of is %d", i.Of)
}

func TestDecode(t *testing.T) {
	t.Parallel()
	var s sample
	require.NoError(t, strictjson.Decode([]byte(`{"$schema": {"a": 1}, "id": "i", "name": "n", "count": 2, "list": [{"id": "l"}], "texts": {"Any": ""},
		"raw": {"A": 1, "a": [[]]}, "any": [9007199254740993, 1e400, {"$schema": 1}]} `), &s))
	require.Equal(t, "i", s.ID)
	require.Equal(t, "l", s.List[0].ID)
	require.Equal(t, json.Number("9007199254740993"), s.Any.([]any)[0])
}

func TestDecode_IgnoresByteOrderMark(t *testing.T) {
	t.Parallel()
	var s sample
	require.NoError(t, strictjson.Decode([]byte("\ufeff{\"name\": \"n\"}"), &s))
	require.Equal(t, "n", s.Name)
}

func TestDecode_Refuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"nam": ""}`:                     `unknown field "nam": did you mean "name"? the fields there are id, self, name, count, list, texts, raw, any, at, for`,
		`{"Name": ""}`:                    `unknown field "Name": it is spelt "name"`,
		`{"Left": ""}`:                    `unknown field "Left"`,
		`{"list": [{}, {"name": 1}]}`:     `unknown field "list[1].name": the fields there are id, self`,
		`{"list": [{"$schema": ""}]}`:     `unknown field "list[0].$schema"`,
		`{"id": "", "id": ""}`:            `id occurs twice: give it once`,
		`{"$schema": 1, "$schema": 1}`:    `$schema occurs twice`,
		`{"raw": [{"a": 1, "a": 1}]}`:     `raw[0].a occurs twice`,
		`{"texts": {"a": "", "a": ""}}`:   `texts.a occurs twice`,
		`{} {}`:                           `there is more behind the JSON value`,
		`{}]`:                             `there is more behind the JSON value`,
		`{"name": 1}`:                     `name is number, want a text`,
		`{"at": "2026-11-28"}`:            `at: "2026-11-28" is not a time such as "2026-11-28T09:00:00Z"`,
		`{"count": 1e400}`:                `count is number, want a whole number such as 1`,
		`{"id": 1}`:                       `id is number, want a text`,
		`{"list": [{"id": 1}]}`:           `list[0].id is number, want a text`,
		`[]`:                              `the whole is array, want an object`,
		`{"count": "1"}`:                  `count is string, want a whole number such as 1`,
		`{"name"`:                         `the JSON ends before it is complete`,
		`{"for": 3}`:                      `for is number, want a duration such as "1.5s" or "3d"`,
		`{"for": "soon"}`:                 `for: "soon" is not a duration`,
		`{"at": 1796045320}`:              `at is number, want a time such as "2026-11-28T09:00:00Z"`,
		`{"list": [{"self": {"of": 1}}]}`: `list[0].self: of is 1`,
		`{"list": [{"self": []}]}`:        `list[0].self is array, want an object`,
		"{\n \"ä\": 'x'}":                 `it is no JSON, in line 2, column 7: invalid character '\''`,
		"{\"name\": \"\xe9\"}":            `it is not in UTF-8`,
		// The depth is bounded before the value is walked.
		strings.Repeat("[", 1<<20): `exceeded max depth`,
		`{"any":` + strings.Repeat(`{"a":`, 20_000) + `1` + strings.Repeat("}", 20_001): `exceeded max depth`,
	} {
		var s sample
		require.ErrorContains(t, strictjson.Decode([]byte(text), &s), want, "%.100s", text)
	}
	require.ErrorIs(t, strictjson.Decode(nil, &sample{}), strictjson.ErrEmpty)
}
