package expression

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestExpression_ReadsTimes(t *testing.T) {
	t.Parallel()
	event := map[string]any{"data": map[string]any{
		"past": "2026-03-01T10:00:00Z", "future": "2026-03-03T10:00:00Z", "text": `{"a": {"b": "c"}, "n": 1}`, "nonsense": "soon", "seconds": 1.7e9,
	}}
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for source, want := range map[string]bool{
		"date(event.data.past) < now()":                              true,
		"date(event.data.future) < now()":                            false,
		`date(event.data.future) < now_plus("25h")`:                  true,
		`date(event.data.past) < now_minus("25h")`:                   false,
		`date(event.data.past) < now_minus("1d")`:                    false,
		`now_plus("later") > now()`:                                  false,
		`date("2026-03-02") < now()`:                                 true,
		"date(1772445600) == now()":                                  true,
		"date(1772445600000) == now()":                               true,
		"date(1) < now()":                                            false,
		"date(event.data.seconds) < now()":                           false,
		"date(event.data.nonsense) < now()":                          false,
		`json_parse(event.data.text).a.b == "c"`:                     true,
		`json_parse(event.data.text).n == 1`:                         true,
		`json_parse(event.data.past).n == 1`:                         false,
		`["x"].exists(x, x == "x" && date(event.data.past) < now())`: true,
	} {
		e, err := Compile(source)
		require.NoError(t, err)
		e.Now = func() time.Time { return now }
		require.Equal(t, want, e.Holds(event, nil), source)
	}
}

func TestExpression_SaysThatItReadsClock(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]bool{
		"date(event.data.at) < now()": true, `event.data.at < now_plus("1h")`: true, `now_minus("1h") == event.data.at`: true, "date(event.data.at) == 1": false,
	} {
		e, err := Compile(source)
		require.NoError(t, err)
		require.Equal(t, want, e.ReadsClock(), source)
		if want {
			require.False(t, e.Holds(nil, nil), "%s has no value without a clock", source)
		}
	}
}
