// Package strictjson reads JSON that persons write. It reports what encoding/json ignores: unknown fields, keys that occur twice
// or are not spelt like the field, and text after the value.
package strictjson

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// Decode reads one JSON value. A key "$schema" of the whole, which editors read, is ignored. Numbers in values of type any become
// [json.Number], which has all their digits. The error of an empty text is [ErrEmpty].
func Decode(data []byte, into any) error { return DecodeAndCheck(data, into, nil) }

// A Check reports what is wrong with a value that is meant to decode as a type. Numbers are [json.Number]. Of an object or array it
// gets the opening delimiter, and whether it is empty. where is the path to the value, empty for the whole.
type Check func(value json.Token, empty bool, as reflect.Type, where string) error

// DecodeAndCheck is [Decode] with a check of each value. check may be nil.
func DecodeAndCheck(data []byte, into any, check Check) error {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) {
		return errors.New("it is not in UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	var whole json.RawMessage
	if err := d.Decode(&whole); err != nil { // also where it is nested too deep to walk
		return syntaxError(data, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more behind the JSON value")
	}
	w := newWalker(whole, check)
	if err := w.walk(reflect.TypeOf(into).Elem(), ""); err != nil {
		return err
	}
	d = json.NewDecoder(bytes.NewReader(whole))
	d.UseNumber()
	return d.Decode(into)
}

// ErrEmpty says that there is no value.
var ErrEmpty = errors.New("it is empty")

// syntaxError says where a text is no JSON.
func syntaxError(data []byte, err error) error {
	if errors.Is(err, io.EOF) {
		return ErrEmpty
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON ends before it is complete")
	}
	var at *json.SyntaxError
	if errors.As(json.Unmarshal(data, new(json.RawMessage)), &at) && at.Offset > 0 {
		before := data[:at.Offset-1]
		line := before[bytes.LastIndexByte(before, '\n')+1:]
		return fmt.Errorf("it is no JSON, in line %d, column %d: %w", bytes.Count(before, []byte("\n"))+1, utf8.RuneCount(line)+1, at)
	}
	return err
}

// wrong says that a value does not decode as a type.
func wrong(where string, value json.Token, as reflect.Type) error {
	found := "null"
	switch value := value.(type) {
	case bool:
		found = "bool"
	case json.Number:
		found = "number"
	case string:
		found = "string"
	case json.Delim:
		found = "object"
		if value == '[' {
			found = "array"
		}
	}
	return fmt.Errorf("%s is %s, want %s", cmp.Or(where, "the whole"), found, kind(as))
}

// fit returns an error for a value that does not decode as a type. null, which leaves things as they are, does.
func fit(value json.Token, as reflect.Type, where string) error {
	read, isText := reflect.New(as).Interface().(encoding.TextUnmarshaler)
	said, given := value.(string)
	number, isNumber := value.(json.Number)
	fits := true
	switch {
	case value == nil || as.Kind() == reflect.Interface || as == rawMessage:
	case isText && given:
		err := read.UnmarshalText([]byte(said))
		if as == reflect.TypeFor[time.Time]() && err != nil {
			err = fmt.Errorf("%q is not %s", said, kind(as))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", cmp.Or(where, "the whole"), err)
		}
	case isText:
		fits = false
	case as.Kind() == reflect.Bool:
		_, fits = value.(bool)
	case as.Kind() == reflect.Int || as.Kind() == reflect.Int64:
		_, err := number.Int64()
		fits = isNumber && err == nil
	case as.Kind() == reflect.Float64:
		fits = isNumber
	case as.Kind() == reflect.String:
		fits = given
	case as.Kind() == reflect.Slice:
		fits = value == json.Delim('[')
	case as.Kind() == reflect.Struct || as.Kind() == reflect.Map:
		fits = value == json.Delim('{')
	}
	if !fits {
		return wrong(where, value, as)
	}
	return nil
}

// kind names the values in JSON that decode as a type, which may have a method JSONKind for it.
func kind(t reflect.Type) string {
	named, isNamed := reflect.Zero(t).Interface().(interface{ JSONKind() string })
	switch {
	case isNamed:
		return named.JSONKind()
	case t == reflect.TypeFor[time.Time]():
		return `a time such as "2026-11-28T09:00:00Z"`
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return "a text"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number such as 1"
	case reflect.Float64:
		return "a number"
	case reflect.String:
		return "a text"
	case reflect.Slice:
		return "a list of " + strings.TrimPrefix(strings.TrimPrefix(kind(t.Elem()), "a "), "an ") + "s"
	}
	return "an object"
}

type walker struct {
	*json.Decoder // of a valid value
	check         Check
	keysAlone     bool // a method of a type decodes the values
}

func newWalker(value []byte, check Check) walker {
	w := walker{Decoder: json.NewDecoder(bytes.NewReader(value)), check: check}
	w.UseNumber()
	return w
}

// walk reads the next value, and returns an error for keys and values that are wrong.
func (w walker) walk(as reflect.Type, where string) error {
	value := as
	if as.Kind() == reflect.Pointer {
		value = as.Elem()
	}
	if decoder, ok := reflect.New(value).Interface().(json.Unmarshaler); ok && !w.keysAlone && value != rawMessage && value != reflect.TypeFor[time.Time]() {
		return w.walkDecoder(decoder, as, where)
	}
	token, err := w.Token()
	if err != nil {
		return err
	}
	opening, nested := token.(json.Delim)
	if w.check != nil {
		if err := w.check(token, nested && !w.More(), as, where); err != nil {
			return err
		}
	}
	if !w.keysAlone {
		if err := fit(token, value, where); err != nil {
			return err
		}
	}
	switch {
	case !nested:
		return nil
	case opening == '[':
		for i := 0; w.More(); i++ {
			if err := w.walk(element(as), fmt.Sprintf("%s[%d]", where, i)); err != nil {
				return err
			}
		}
	default:
		if err := w.walkObject(as, where); err != nil {
			return err
		}
	}
	_, err = w.Token() // the closing delimiter
	return err
}

// walkDecoder reads a value of a type that decodes itself.
func (w walker) walkDecoder(decoder json.Unmarshaler, as reflect.Type, where string) error {
	var value json.RawMessage
	if err := w.Decode(&value); err != nil {
		return err
	}
	keys := newWalker(value, w.check)
	keys.keysAlone = true
	if err := keys.walk(as, where); err != nil || string(value) == "null" {
		return err
	}
	err := decoder.UnmarshalJSON(value)
	if of, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		found, _, _ := strings.Cut(of.Value, " ") // without the digits of a number
		return fmt.Errorf("%s is %s, want %s", cmp.Or(strings.Trim(where+"."+of.Field, "."), "the whole"), found, kind(of.Type))
	}
	if err != nil && where != "" {
		return fmt.Errorf("%s: %w", where, err)
	}
	return err
}

func (w walker) walkObject(as reflect.Type, where string) error {
	seen := map[string]bool{}
	for w.More() {
		token, err := w.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string) // all keys are
		at := strings.TrimPrefix(where+"."+key, ".")
		if seen[key] {
			return fmt.Errorf("%s occurs twice: give it once", at)
		}
		seen[key] = true
		if at == "$schema" {
			if err := w.Decode(new(json.RawMessage)); err != nil {
				return err
			}
			continue
		}
		value, err := member(as, key)
		if err != nil {
			return fmt.Errorf("unknown field %q: %w", at, err)
		}
		if err := w.walk(value, at); err != nil {
			return err
		}
	}
	return nil
}

var rawMessage = reflect.TypeFor[json.RawMessage]()

// Anything is the type of values whose keys are free, such as outputs.
var Anything = reflect.TypeFor[any]()

// member returns the type of the value of a key in an object. The error says which keys there are instead.
func member(of reflect.Type, key string) (reflect.Type, error) {
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	switch {
	case of.Kind() == reflect.Map:
		return of.Elem(), nil
	case of.Kind() != reflect.Struct:
		return Anything, nil
	}
	var names []string
	for _, f := range reflect.VisibleFields(of) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "" || name == "-":
			continue
		case name == key && f.Type == rawMessage:
			return Anything, nil
		case name == key:
			return f.Type, nil
		case strings.EqualFold(name, key):
			return nil, fmt.Errorf("it is spelt %q", name)
		}
		names = append(names, name)
	}
	near := ""
	if name := text.Nearest(key, names); name != "" {
		near = fmt.Sprintf("did you mean %q? ", name)
	}
	return nil, fmt.Errorf("%sthe fields there are %s", near, strings.Join(names, ", "))
}

// element returns the type of the elements of an array.
func element(of reflect.Type) reflect.Type {
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if of.Kind() == reflect.Slice && of != rawMessage {
		return of.Elem()
	}
	return Anything
}
