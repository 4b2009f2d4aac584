// Package expression evaluates the conditions and keys of functions, in CEL, as the server does.
package expression

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
)

// Expression is a compiled CEL expression over event (what triggered the run) and async (what arrives later).
//
// The server evaluates CEL loosely, as people write it: a field that is not there is like null, numbers and texts may be
// added, any value can be an operand of && and ||. [lenient] and [loosen] do the same. Numbers in events must be float64, as
// encoding/json makes them.
type Expression struct {
	// Now returns the time, for the functions now, now_plus and now_minus. Nil: these have no value.
	Now func() time.Time

	program    cel.Program
	fields     []string
	hasClock   bool
	undeclared string // a name that is neither event nor async
	quoted     bool   // texts of event and of literals stand as in Go's quotes
	disallowed string // what the server's restrictive policy refuses
}

// Fields returns the fields of event and async that the expression reads, such as data or ts.
func (e *Expression) Fields() []string { return e.fields }

// ReadsClock reports whether the value depends on when the expression is evaluated.
func (e *Expression) ReadsClock() bool { return e.hasClock }

// environment is made once: it costs more than any expression and never changes.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	object := cel.MapType(cel.StringType, cel.DynType)
	text := func(name string, change func(string) string) cel.EnvOption {
		changed := func(v ref.Val) ref.Val {
			s, _ := v.Value().(string)
			return types.String(change(s))
		}
		return cel.Function(name, cel.Overload(name, []*cel.Type{cel.StringType}, cel.StringType, cel.UnaryBinding(changed)))
	}
	decode := func(s string) string {
		decoded, _ := base64.StdEncoding.DecodeString(s) // as far as it is right, as on the server
		return string(decoded)
	}
	return cel.NewEnv(append(timeFunctions(), cel.Variable("event", object), cel.Variable("async", object),
		text("lowercase", strings.ToLower), text("uppercase", strings.ToUpper), text("b64decode", decode), jsonParse())...)
})

// CompileCondition is Compile for what the server refuses if it reads anything but event and async: conditions of triggers.
func CompileCondition(source string) (*Expression, error) { return compileCondition(source, false) }

// CompileWait is CompileCondition for conditions of waits. Where one reads event, the server writes the event's values into its text,
// and writes the literals anew, with escapes, which it then does not read.
func CompileWait(source string) (*Expression, error) {
	return compileCondition(source, strings.Contains(source, "event."))
}

func compileCondition(source string, quoted bool) (*Expression, error) {
	e, err := compile(source, quoted)
	if err == nil && e.undeclared != "" {
		err = fmt.Errorf("expression %q: undeclared reference to '%s': conditions are over event and async", source, e.undeclared)
	}
	return e, err
}

// CompileCancellation is CompileWait for conditions of cancellations, in which the server refuses macros and function calls,
// those of arithmetic included.
func CompileCancellation(source string) (*Expression, error) {
	e, err := CompileWait(source)
	if err == nil && e.disallowed != "" {
		err = fmt.Errorf("expression %q: %s", source, e.disallowed)
	}
	return e, err
}

// allowedCalls are those that the server's restrictive policy allows.
var allowedCalls = []string{
	operators.Conditional, operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Equals, operators.NotEquals,
	operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals, operators.Index, operators.OptIndex,
	operators.OptSelect, operators.In, "int", "uint", "double",
}

// disallowed returns what the server's restrictive policy refuses of an expression, or nothing. Like the server, it does not look into
// lists and maps.
func disallowed(e ast.Expr) string {
	switch e.Kind() {
	case ast.ComprehensionKind:
		return "macros are disallowed"
	case ast.SelectKind:
		if e.AsSelect().IsTestOnly() {
			return "macros are disallowed (uses 'has')"
		}
		return disallowed(e.AsSelect().Operand())
	case ast.CallKind:
		call := e.AsCall()
		if !slices.Contains(allowedCalls, call.FunctionName()) {
			return fmt.Sprintf("function calls are disallowed (uses '%s')", call.FunctionName())
		}
		for _, arg := range call.Args() {
			if found := disallowed(arg); found != "" {
				return found
			}
		}
	}
	return ""
}

// Compile parses an expression. Types are not checked: events have none. Functions are: the server refuses those that it does
// not know.
func Compile(source string) (*Expression, error) { return compile(source, false) }

func compile(source string, quoted bool) (*Expression, error) {
	env, err := environment()
	if err != nil {
		return nil, fmt.Errorf("preparing expressions: %w", err)
	}
	parsed, issues := env.Parse(source)
	if issues.Err() != nil {
		return nil, fmt.Errorf("expression %q: %w", source, issues.Err())
	}
	var unknown string
	var fields, names, own []string // own are the names of the expression's own variables
	hasClock := false
	isRoot := func(e ast.Expr) bool {
		return e.Kind() == ast.IdentKind && (e.AsIdent() == "event" || e.AsIdent() == "async")
	}
	ast.PostOrderVisit(parsed.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch {
		case e.Kind() == ast.IdentKind:
			names = append(names, e.AsIdent())
		case e.Kind() == ast.ComprehensionKind:
			c := e.AsComprehension()
			own = append(own, c.IterVar(), c.IterVar2(), c.AccuVar())
		case e.Kind() == ast.SelectKind && isRoot(e.AsSelect().Operand()):
			fields = append(fields, e.AsSelect().FieldName())
		case e.Kind() != ast.CallKind:
		case !env.HasFunction(e.AsCall().FunctionName()):
			unknown = e.AsCall().FunctionName()
		case isClock(e.AsCall().FunctionName()):
			hasClock = true
		case e.AsCall().FunctionName() == operators.Index && isRoot(e.AsCall().Args()[0]):
			name := ""
			if at := e.AsCall().Args()[1]; at.Kind() == ast.LiteralKind {
				name, _ = at.AsLiteral().Value().(string)
			}
			fields = append(fields, name)
		}
	}))
	if unknown != "" {
		return nil, fmt.Errorf("expression %q: the function %s is not known here", source, unknown)
	}
	refused := disallowed(parsed.NativeRep().Expr()) // before it is changed
	if quoted {
		quoteLiterals(parsed.NativeRep().Expr())
	} else if text := lifted(source); text != source {
		if parsed, issues = env.Parse(text); issues.Err() != nil {
			parsed, _ = env.Parse(noValue)
		}
	}
	loosen(parsed.NativeRep().Expr())
	program, err := env.Program(parsed, cel.CustomDecorator(lenient))
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", source, err)
	}
	compiled := &Expression{program: program, fields: fields, hasClock: hasClock, disallowed: refused, quoted: quoted}
	for _, name := range names {
		if name != "event" && name != "async" && !slices.Contains(own, name) {
			compiled.undeclared = name
		}
	}
	return compiled, nil
}

// literals matches a comment, or string literals as the server finds them: with what stands right before, and those that follow at
// once, since three quotes are two literals for it. literal matches one alone.
var (
	literals = regexp.MustCompile(`(?s)//[^\n]*|\w*(?:"(?:\\.|[^"\\])*(?:"|\z)|'(?:\\.|[^'\\])*(?:'|\z))+`)
	literal  = regexp.MustCompile(`(?s)^(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')$`)
)

// noValue is an expression that has no value.
const noValue = "{}.missing"

// lifted returns the expression that the server evaluates in the place of another one. It moves string literals into variables
// without reading their escapes, so that a backslash stands for itself. Where two such variables, or a prefix (r, b) and one, come
// together, their names become one, of a variable that does not exist.
func lifted(source string) string {
	if strings.Contains(source, "vars.") {
		return source
	}
	return literals.ReplaceAllStringFunc(source, func(match string) string {
		switch {
		case strings.HasPrefix(match, "//"):
		case !literal.MatchString(match):
			return noValue
		case strings.Contains(match, `\`):
			return strconv.Quote(match[1 : len(match)-1])
		}
		return match
	})
}

// quoteLiterals puts texts in the place of an expression's literals as [quote] does.
func quoteLiterals(e ast.Expr) {
	factory := ast.NewExprFactory()
	ast.PostOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.LiteralKind {
			return
		}
		if s, ok := e.AsLiteral().Value().(string); ok {
			e.SetKindCase(factory.NewLiteral(e.ID(), types.String(quote(s))))
		}
	}))
}

// quote returns a text as it stands between Go's quotes.
func quote(s string) string {
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}

// quoteAll applies [quote] to all texts of a JSON value.
func quoteAll(v any) any {
	switch v := v.(type) {
	case string:
		return quote(v)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = quoteAll(v[i])
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(v))
		for name := range v {
			object[name] = quoteAll(v[name])
		}
		return object
	}
	return v
}

// Interpolate returns an error where the server cannot put the event's values into a condition that a run is to wait by: with these, a
// macro is left that depends on async, and is not written as text.
func Interpolate(source string, event map[string]any) error {
	env, err := environment()
	if err != nil || !strings.Contains(source, "event.") { // as the server looks for what to put in
		return err
	}
	parsed, issues := env.Parse(source)
	if issues.Err() != nil {
		return fmt.Errorf("expression %q: %w", source, issues.Err())
	}
	program, err := env.Program(parsed, cel.EvalOptions(cel.OptTrackState, cel.OptPartialEval))
	if err != nil {
		return fmt.Errorf("expression %q: %w", source, err)
	}
	vars, err := cel.PartialVars(map[string]any{"event": orEmpty(event)}, cel.AttributePattern("async"))
	if err != nil {
		return fmt.Errorf("expression %q: %w", source, err)
	}
	_, details, err := program.Eval(vars)
	if err != nil {
		return nil // it has no value whatever comes later
	}
	if _, err := env.ResidualAst(parsed, details); err != nil {
		return errors.New("unsupported expression: a macro, such as exists or all, that depends on async, in a condition that also reads event")
	}
	return nil
}

// Value evaluates the expression; ok is false if it has no value, for instance because a field is missing.
func (e *Expression) Value(event, async map[string]any) (value any, ok bool) {
	if e.quoted {
		event, _ = quoteAll(orEmpty(event)).(map[string]any)
	}
	vars := map[string]any{"event": orEmpty(event), "async": orEmpty(async)}
	if e.hasClock && e.Now != nil {
		vars[clockVariable] = e.Now()
	}
	out, _, err := e.program.Eval(vars)
	if err != nil || out == nil || types.IsUnknownOrError(out) {
		return nil, false
	}
	return out.Value(), true
}

// Holds reports whether the expression is true of the events. A nil expression is.
func (e *Expression) Holds(event, async map[string]any) bool {
	if e == nil {
		return true
	}
	value, _ := e.Value(event, async)
	result, _ := value.(bool)
	return result
}

// HoldsOf reports whether the expression is true of other variables than events. One that is not there is like null.
func (e *Expression) HoldsOf(vars map[string]any) bool {
	out, _, err := e.program.Eval(vars)
	if err != nil || out == nil || types.IsUnknownOrError(out) {
		return false
	}
	result, _ := out.Value().(bool)
	return result
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// Calls that stand for what CEL does not evaluate as a call. lenientCall evaluates them.
const (
	present = "@present" // has: a field that is not there stays missing, so that its negation is not true
	and     = "@and"
	or      = "@or"
	truthy  = "@truthy" // the condition of ? :
)

// loosen puts calls in the place of has, &&, || and the condition of ? :, except within the loop of a macro.
func loosen(e ast.Expr) {
	factory := ast.NewExprFactory()
	switch e.Kind() {
	case ast.ListKind:
		for _, element := range e.AsList().Elements() {
			loosen(element)
		}
	case ast.ComprehensionKind:
		loosen(e.AsComprehension().IterRange())
	case ast.SelectKind:
		s := e.AsSelect()
		if loosen(s.Operand()); s.IsTestOnly() {
			e.SetKindCase(factory.NewCall(e.ID(), present, factory.NewSelect(e.ID(), s.Operand(), s.FieldName())))
		}
	case ast.CallKind:
		call := e.AsCall()
		args := slices.Clone(call.Args())
		for _, arg := range args {
			loosen(arg)
		}
		switch call.FunctionName() {
		case operators.LogicalAnd:
			e.SetKindCase(factory.NewCall(e.ID(), and, args...))
		case operators.LogicalOr:
			e.SetKindCase(factory.NewCall(e.ID(), or, args...))
		case operators.Conditional:
			args[0] = factory.NewCall(args[0].ID(), truthy, args[0])
			e.SetKindCase(factory.NewCall(e.ID(), operators.Conditional, args...))
		}
		if call.IsMemberFunction() {
			loosen(call.Target())
		}
	}
}

// isTruthy reports whether a value counts as true, as in JavaScript.
func isTruthy(v ref.Val) bool {
	if types.IsUnknownOrError(v) || v.Type() == types.NullType {
		return false
	}
	switch v := v.Value().(type) {
	case bool:
		return v
	case string:
		return v != ""
	case int64:
		return v != 0
	case uint64:
		return v != 0
	case float64:
		return v != 0
	default:
		return true
	}
}

// lenient wraps every call so that operands which are missing or null give an answer instead of an error.
func lenient(i interpreter.Interpretable) (interpreter.Interpretable, error) {
	call, ok := i.(interpreter.InterpretableCall)
	if !ok {
		return i, nil
	}
	return &lenientCall{call}, nil
}

type lenientCall struct {
	interpreter.InterpretableCall
}

func (c *lenientCall) Eval(vars interpreter.Activation) ref.Val {
	args := c.Args()
	switch c.Function() {
	case and, or:
		first := args[0].Eval(vars)
		if isTruthy(first) == (c.Function() == or) {
			return first
		}
		return args[1].Eval(vars)
	case truthy:
		return types.Bool(isTruthy(args[0].Eval(vars)))
	case present:
		if v := args[0].Eval(vars); types.IsUnknownOrError(v) {
			return v
		}
		return types.True
	}
	if isClock(c.Function()) {
		return c.clock(vars)
	}
	values := make([]ref.Val, len(args))
	missing, null := -1, -1
	for i, arg := range args {
		values[i] = arg.Eval(vars)
		switch {
		case insideMacro(values[i]):
			return c.InterpretableCall.Eval(vars)
		case values[i] == ref.Val(noTime):
			return noTime
		case types.IsUnknownOrError(values[i]):
			missing = i
		case values[i].Type() == types.NullType:
			null = i
		}
	}
	if missing >= 0 {
		return withMissing(c.Function(), values, missing, null >= 0 || bothFromEvents(args, values))
	}
	if null >= 0 && len(values) == 2 && values[0].Type() != values[1].Type() {
		switch c.Function() {
		case operators.Equals:
			return types.False
		case operators.NotEquals:
			return types.True
		case operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
			return order(c.Function(), zeroFor(values[0], values[1]), zeroFor(values[1], values[0]))
		}
	}
	result := c.InterpretableCall.Eval(vars)
	if types.IsError(result) && c.Function() == operators.Add && len(values) == 2 {
		return types.String(fmt.Sprintf("%v%v", values[0].Value(), values[1].Value()))
	}
	return result
}

// withMissing is what a call gives when an operand is not there. Missing is smaller than anything, equal to null only.
func withMissing(function string, values []ref.Val, missing int, asNull bool) ref.Val {
	switch function {
	case operators.Equals:
		return types.Bool(asNull)
	case operators.NotEquals:
		return types.Bool(!asNull)
	case operators.Less, operators.LessEquals:
		return types.Bool(types.IsUnknownOrError(values[0]))
	case operators.Greater, operators.GreaterEquals:
		return types.Bool(!types.IsUnknownOrError(values[0]))
	case operators.Add:
		for i, v := range values {
			if i != missing && !types.IsUnknownOrError(v) {
				return v
			}
		}
		return types.False
	case overloads.Size:
		return types.IntZero
	default:
		return types.False
	}
}

// bothFromEvents reports whether both operands are missing and the one is of the trigger, the other of the arriving event.
// The server writes the trigger's values into such an expression beforehand, a missing one as null: null equals missing.
func bothFromEvents(args []interpreter.Interpretable, values []ref.Val) bool {
	if len(args) != 2 || !types.IsUnknownOrError(values[0]) || !types.IsUnknownOrError(values[1]) {
		return false
	}
	a, b := root(args[0]), root(args[1])
	return a != b && (a == "event" || b == "event")
}

// root returns the variable that an attribute begins with, or "" for what is no attribute.
func root(i interpreter.Interpretable) string {
	attr, ok := i.(interpreter.InterpretableAttribute)
	if !ok {
		return ""
	}
	if named, ok := attr.Attr().(interpreter.NamespacedAttribute); ok {
		if names := named.CandidateVariableNames(); len(names) > 0 {
			return names[0]
		}
	}
	// Names are not checked at compile time, so a qualified one may be a namespace; such an attribute shows its names only
	// as text, of which the first identifier is the root.
	if m := attributeRoot.FindStringSubmatch(fmt.Sprint(attr.Attr())); m != nil {
		return m[1]
	}
	return ""
}

// attributeRoot matches the first name of an attribute as cel-go prints it.
var attributeRoot = regexp.MustCompile(`names:\s*\[\.?(\w+)`)

// insideMacro reports whether a value could not be had because it is the variable of a comprehension, which is no operand.
func insideMacro(v ref.Val) bool {
	err, ok := v.(*types.Err)
	return ok && strings.HasPrefix(err.Error(), "no such attribute")
}

// zeroFor returns v, or if it is null the zero of the other operand's type.
func zeroFor(v, other ref.Val) ref.Val {
	if v.Type() != types.NullType {
		return v
	}
	switch other.Type() {
	case types.StringType:
		return types.String("")
	case types.DoubleType:
		return types.Double(0)
	case types.BoolType:
		return types.False
	default:
		return types.IntZero
	}
}

func order(function string, a, b ref.Val) ref.Val {
	comparer, ok := a.(interface{ Compare(ref.Val) ref.Val })
	if !ok {
		return types.False
	}
	n, ok := comparer.Compare(b).(types.Int)
	if !ok {
		return types.False
	}
	switch function {
	case operators.Less:
		return types.Bool(n < 0)
	case operators.LessEquals:
		return types.Bool(n <= 0)
	case operators.Greater:
		return types.Bool(n > 0)
	default:
		return types.Bool(n >= 0)
	}
}
