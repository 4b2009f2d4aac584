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

	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// Decode reads one JSON value. A key "$schema" of the whole, which editors read, is ignored. Numbers in values of type any become
// [json.Number], which has all their digits. The error of an empty text is [io.EOF].
func Decode(data []byte, into any) error { return DecodeAndCheck(data, into, nil) }

// A Check reports what is wrong with a value that is meant to decode as a type. Numbers are [json.Number]. Of an object or array it
// gets the opening delimiter, and whether it is empty. where is the path to the value, empty for the whole.
type Check func(value json.Token, empty bool, as reflect.Type, where string) error

// DecodeAndCheck is [Decode] with a check of each value. check may be nil.
func DecodeAndCheck(data []byte, into any, check Check) error {
	d := json.NewDecoder(bytes.NewReader(data))
	var whole json.RawMessage
	if err := d.Decode(&whole); err != nil { // also where it is nested too deep to walk
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more behind the JSON value")
	}
	w := walker{json.NewDecoder(bytes.NewReader(whole)), check}
	w.UseNumber()
	if err := w.walk(reflect.TypeOf(into).Elem(), ""); err != nil {
		return err
	}
	d = json.NewDecoder(bytes.NewReader(whole))
	d.UseNumber()
	err := d.Decode(into)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		found, _, _ := strings.Cut(wrong.Value, " ") // without the digits of a number
		return fmt.Errorf("%s is %s, want %s", cmp.Or(keys(wrong.Field, reflect.TypeOf(into)), "the whole"), found, kind(wrong.Type))
	}
	if wrong, ok := errors.AsType[*time.ParseError](err); ok {
		return fmt.Errorf(`%q is not a time such as "2026-11-28T09:00:00Z"`, wrong.Value)
	}
	return err
}

// keys returns a path without the names of embedded structs, which encoding/json has in it.
func keys(path string, of reflect.Type) string {
	var kept []string
	for name := range strings.SplitSeq(path, ".") {
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
			of = of.Elem()
		}
		if t, err := member(of, name); err == nil {
			kept, of = append(kept, name), t
		}
	}
	return strings.Join(kept, ".")
}

// kind names the values in JSON that decode as a type.
func kind(t reflect.Type) string {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
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
}

// walk reads the next value, and returns an error for keys that are wrong.
func (w walker) walk(as reflect.Type, where string) error {
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
		case name == key && f.Type == reflect.TypeFor[json.RawMessage]():
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
	if of.Kind() == reflect.Slice && of != reflect.TypeFor[json.RawMessage]() {
		return of.Elem()
	}
	return Anything
}
