package expression

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExpression_ComparesMissingFields has a missing field of the trigger equal a missing one of the arriving event, and two
// missing ones of one event differ, whatever their names hold.
func TestExpression_ComparesMissingFields(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]bool{
		"event.data.id == async.data.id":                true,
		"event.data.id == async.data.event_id":          true,
		"async.data.event_id == async.data.id":          false,
		"async.data.id == async.data.event_id":          false,
		"event.data.async_id == event.data.id":          false,
		"event.data.async_id == async.data.event":       true,
		`async.data["event"] == async.data.id`:          false,
		"async.event == async.data.id":                  false,
		"event.data.id != async.data.event_id":          false,
		"async.data.event_id != async.data.other_event": true,
	} {
		e, err := Compile(source)
		require.NoError(t, err)
		require.Equal(t, want, e.Holds(nil, nil), source)
	}
}

// TestExpression_Loose has what the server v1.43.0 decided about these conditions for an event of this data.
func TestExpression_Loose(t *testing.T) {
	t.Parallel()
	event := map[string]any{"data": map[string]any{
		"n": 3.0, "zero": 0.0, "s": "ABC", "empty": "", "t": true, "f": false, "nul": nil,
		"items": []any{"a", "b"}, "o": map[string]any{"k": "v"}, "rows": []any{map[string]any{"k": 1.0}},
	}}
	for source, want := range map[string]bool{
		"lowercase(event.data.s) == 'abc'":                             true,
		"uppercase('a') + 'BC' == event.data.s":                        true,
		"b64decode('QUJD') == event.data.s":                            true,
		"lowercase(event.data.z) == ''":                                false,
		"has(event.data.o.k)":                                          true,
		"has(event.data.nul)":                                          true,
		"has(event.data.z)":                                            false,
		"!has(event.data.z)":                                           false,
		"!has(event.data.o.z)":                                         false,
		"!has(event.data.n)":                                           false,
		"has(event.data.z) == false":                                   false,
		"has(event.data.z) != true":                                    true,
		"event.data.t && !has(event.data.z)":                           false,
		"!has(event.data.z) || event.data.n == 4":                      false,
		"!(has(event.data.z) && event.data.z == 'x')":                  false,
		"has(event.data.z) || event.data.t":                            true,
		"has(event.data.z) ? event.data.f : event.data.t":              true,
		"event.data.s && event.data.t":                                 true,
		"event.data.t && event.data.s":                                 false,
		"event.data.empty || event.data.t":                             true,
		"event.data.empty && event.data.t":                             false,
		"event.data.nul || event.data.t":                               true,
		"event.data.zero || event.data.t":                              true,
		"event.data.items && event.data.t":                             true,
		"event.data.o && event.data.t":                                 true,
		"event.data.z || event.data.t":                                 true,
		"event.data.z && event.data.t":                                 false,
		"(event.data.z || event.data.s) == 'ABC'":                      true,
		"event.data.s ? event.data.t : event.data.f":                   true,
		"event.data.zero ? event.data.t : event.data.f":                false,
		"!(event.data.s && event.data.f)":                              true,
		"!(event.data.z && event.data.t)":                              false,
		"!event.data.items.exists(x, x == 'z')":                        true,
		"event.data.rows.exists(r, has(r.k))":                          true,
		"!event.data.rows.exists(r, has(r.z))":                         true,
		"event.data.rows.exists(r, r.k == 1 && event.data.t)":          true,
		"!(event.data.f || event.data.z)":                              false,
		"[has(event.data.z)] == [true]":                                false,
		"event.data.rows.filter(r, has(r.k)).size() == 1":              true,
		"!(event.data.t && event.data.f)":                              true,
		"event.data.items.exists(x, x == 'a') && !has(event.data.o.z)": false,
	} {
		e, err := Compile(source)
		require.NoError(t, err)
		require.Equal(t, want, e.Holds(event, nil), source)
	}
}

// TestExpression_TakesTextsAsServerDoes has what the server v1.43.0 decided about these conditions for an event of this data.
func TestExpression_TakesTextsAsServerDoes(t *testing.T) {
	t.Parallel()
	event := map[string]any{"data": map[string]any{
		"s": "A17", "digits": `A\d+`, "its": "it's", "lines": "a\nb", "escaped": `a\nb`, "said": `say "hi"`, "size": "Größe", "v": "v39",
		"vars": map[string]any{"x": 1.0},
	}}
	for source, want := range map[string]bool{
		`event.data.s.matches('^A\\d+$')`:                           false,
		`event.data.s.matches(r'^A\d+$')`:                           false,
		`event.data.s.matches('^A[0-9]+$')`:                         true,
		`event.data.s != r'x'`:                                      true,
		`event.data.digits == 'A\\d+'`:                              false,
		`event.data.its == 'it\'s'`:                                 false,
		`event.data.its == "it's"`:                                  true,
		`event.data.lines == "a\nb"`:                                false,
		`event.data.escaped == "a\nb"`:                              true,
		`event.data.said == "say \"hi\""`:                           false,
		`event.data.said == 'say "hi"'`:                             true,
		`event.data.size == "Gr\u00f6\u00dfe"`:                      false,
		`event.data.size == "Größe"`:                                true,
		`event.data.v == """v39"""`:                                 false,
		`b'v' == b'v'`:                                              false,
		`event.data.its == "it's" // of 'it\'s`:                     true,
		`event.data.vars.x == 1 && event.data.its == 'it\'s'`:       true,
		`event.data.lines == "a\nb" || event.data.s.contains('17')`: true,
		`event.data.s in ['A\u0031\u0037', 'B']`:                    false,
		`event.data.s in ['A17', '\\']`:                             true,
		`event.data.s in ['A17', r'B']`:                             false,
		`event.data.s == 'A17' && event.data.v != '''v38'''`:        true,
	} {
		e, err := Compile(source)
		require.NoError(t, err, source)
		require.Equal(t, want, e.Holds(event, nil), source)
	}
}

func TestCompile_RefusesUnknownFunctions(t *testing.T) {
	t.Parallel()
	for source, name := range map[string]string{
		"event.data.t && day(event.data.d) < day('2030-01-01')": "day",
		"event.data.s.lowerAscii() == 'abc'":                    "lowerAscii",
		"event.data.items.exists(x, today() > x)":               "today",
	} {
		_, err := Compile(source)
		require.ErrorContains(t, err, "the function "+name+" is not known here")
	}
}

func TestCompileCondition_RefusesUndeclaredNames(t *testing.T) {
	t.Parallel()
	for source, undeclared := range map[string]string{
		`event.data.n == async.data.n`:                        "",
		`event.data.list.exists(x, x == "a" && event.id > x)`: "",
		`has(event.data.n) && {"a": event.ts}.a > 1`:          "",
		`evnt.data.n == 1`:                                    "evnt",
		`event.data.list.exists(x, y == "a")`:                 "y",
		`invalid`:                                             "invalid",
	} {
		_, err := CompileCondition(source)
		if undeclared == "" {
			require.NoError(t, err, source)
		} else {
			require.ErrorContains(t, err, "undeclared reference to '"+undeclared+"'", source)
		}
	}
}

func TestCompileCancellation_RefusesMacrosAndCalls(t *testing.T) {
	t.Parallel()
	for source, refused := range map[string]string{
		`event.data.n == async.data.n && !(async.data["m"] > -1)`: "",
		`event.data.n in async.data.list ? true : int("1") == 1`:  "",
		`event.data.n in [size("lists are not looked into")]`:     "",
		`has(async.data.n)`: "macros are disallowed (uses 'has')",
		`event.data.n == 1 || async.data.list.exists(x, x == "a")`: "macros are disallowed",
		`async.data.name.startsWith("a")`:                          "function calls are disallowed (uses 'startsWith')",
		`event.data.at < now()`:                                    "function calls are disallowed (uses 'now')",
		`event.data.n + 1 == async.data.n`:                         "function calls are disallowed (uses '_+_')",
		`-event.data.n == 1`:                                       "function calls are disallowed (uses '-_')",
	} {
		_, err := CompileCancellation(source)
		if refused == "" {
			require.NoError(t, err, source)
		} else {
			require.ErrorContains(t, err, refused, source)
		}
	}
}

func TestInterpolate_RefusesMacrosThatDependOnAsync(t *testing.T) {
	t.Parallel()
	event := map[string]any{"data": map[string]any{"n": 1.0, "item": "a", "items": []any{"a"}}}
	for source, supported := range map[string]bool{
		`async.data.item == event.data.item`:                           true,
		`async.data.items.exists(i, i == "a")`:                         true,
		`event.data.items.exists(i, i == "a")`:                         true,
		`event.data.n == 1 || async.data.items.exists(i, i == "a")`:    true,
		`event.data.n == 2 && async.data.items.exists(i, i == "a")`:    true,
		`has(async.data.item) && event.data.n == 1`:                    true,
		`[1, 2].exists(i, i == event.data.n) && async.data.item == ""`: true,
		`async.data.items.exists(i, i == event.data.item)`:             false,
		`async.data.items.all(i, i == event.data.item)`:                false,
		`async.data.items.map(i, i)[0] == event.data.item`:             false,
		`event.data.items.exists(i, i == async.data.item)`:             false,
		`event.data.n == 1 && async.data.items.exists(i, i == "a")`:    false,
	} {
		err := Interpolate(source, event)
		if supported {
			require.NoError(t, err, source)
		} else {
			require.ErrorContains(t, err, "unsupported expression", source)
		}
	}
}
