package expression

import (
	"encoding/json"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
	"github.com/xhit/go-str2duration/v2"
)

// The functions that read the clock, and the variable in which they find the time: the name of no variable of an expression.
const (
	nowFunction   = "now"
	plusFunction  = "now_plus"
	minusFunction = "now_minus"
	clockVariable = "@now"
)

func isClock(function string) bool {
	return function == nowFunction || function == plusFunction || function == minusFunction
}

// timeFunctions declares the functions of times. Those of the clock are evaluated by [lenientCall].
func timeFunctions() []cel.EnvOption {
	declare := func(name string, args ...*cel.Type) cel.EnvOption {
		return cel.Function(name, cel.Overload(name, args, cel.TimestampType, cel.FunctionBinding(func(...ref.Val) ref.Val { return noTime })))
	}
	return []cel.EnvOption{
		declare(nowFunction), declare(plusFunction, cel.StringType), declare(minusFunction, cel.StringType),
		cel.Function("date", cel.Overload("date", []*cel.Type{cel.DynType}, cel.TimestampType, cel.UnaryBinding(date))),
	}
}

// noTime is what is no time, or cannot be known: whatever is compared with it is not true.
var noTime = types.NewErr("no such time")

// clock evaluates a function that reads the clock.
func (c *lenientCall) clock(vars interpreter.Activation) ref.Val {
	at, ok := vars.ResolveName(clockVariable)
	now, isTime := at.(time.Time)
	if !ok || !isTime {
		return noTime
	}
	args := c.Args()
	if c.Function() == nowFunction || len(args) != 1 {
		return types.Timestamp{Time: now}
	}
	text, _ := args[0].Eval(vars).Value().(string)
	d, err := str2duration.ParseDuration(text)
	switch {
	case err != nil:
		return noTime
	case c.Function() == minusFunction:
		d = -d
	}
	return types.Timestamp{Time: now.Add(d)}
}

// layouts are how the server reads dates.
var layouts = []string{
	time.RFC3339, "2006-01-02T15:04:05", time.RFC1123, time.RFC822, time.RFC822Z, time.RFC850, time.RubyDate, time.UnixDate, time.ANSIC,
	time.Stamp, time.StampMilli, time.DateOnly, "2006-01-02 15:04:05.999999999 -0700 MST",
}

// Bounds of integers that the server takes for seconds, milliseconds and nanoseconds since 1970.
const (
	leastSeconds = 946_684_800 // the year 2000
	mostSeconds  = 9_999_999_999
	mostMillis   = 9_999_999_999_999
)

// date reads a text, or an integer, as a time. Numbers in events are no integers.
func date(v ref.Val) ref.Val {
	switch v := v.Value().(type) {
	case string:
		for _, layout := range layouts {
			if at, err := time.Parse(layout, v); err == nil {
				return types.Timestamp{Time: at}
			}
		}
	case int64:
		switch {
		case v < leastSeconds:
		case v < mostSeconds:
			return types.Timestamp{Time: time.Unix(v, 0)}
		case v < mostMillis:
			return types.Timestamp{Time: time.UnixMilli(v)}
		default:
			return types.Timestamp{Time: time.Unix(0, v)}
		}
	}
	return noTime
}

// jsonParse declares the function that reads an object in a text. Of any other text it makes an empty object.
func jsonParse() cel.EnvOption {
	parse := func(v ref.Val) ref.Val {
		text, _ := v.Value().(string)
		object := map[string]any{}
		_ = json.Unmarshal([]byte(text), &object)
		return types.NewStringInterfaceMap(types.DefaultTypeAdapter, object)
	}
	return cel.Function("json_parse", cel.Overload("json_parse", []*cel.Type{cel.StringType}, cel.DynType, cel.UnaryBinding(parse)))
}
