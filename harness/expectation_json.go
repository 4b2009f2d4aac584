package harness

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// ParseExpectation reads an expectation from JSON. It returns an error for unknown fields, keys that occur twice or are
// not spelt exactly like the field, text after the value, and an expectation that is not valid.
func ParseExpectation(data []byte) (Expectation, error) {
	var e Expectation
	// The decoder ignores the case of keys and accepts repeated ones.
	if err := validateKeys(json.NewDecoder(bytes.NewReader(data)), reflect.TypeFor[Expectation](), ""); err != nil {
		return e, fmt.Errorf("expectation: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&e); err != nil {
		text := strings.TrimPrefix(err.Error(), "json: ")
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			text = fmt.Sprintf("%s is %s, want %s", cmp.Or(wrong.Field, "the whole"), wrong.Value, kind(wrong.Type))
		}
		return e, fmt.Errorf("expectation: %s; see docs/writing-tests.md", text)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return e, errors.New("expectation: there is more behind the JSON value: give one expectation")
	}
	return e, e.Validate()
}

// kind names the values in JSON that decode as a type.
func kind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number such as 1"
	case reflect.String:
		return "a text"
	case reflect.Slice:
		return "a list of " + strings.TrimPrefix(strings.TrimPrefix(kind(t.Elem()), "a "), "an ") + "s"
	}
	return "an object"
}

// validateKeys reads the next value, which is meant to decode as a type, and returns an error if an object in it has a key
// twice, or a key that is not a field of the type, or a value that reads like an assertion and is none. where is the path to
// the value. The decoder reports other errors.
func validateKeys(d *json.Decoder, as reflect.Type, where string) error {
	token, err := d.Token()
	if err != nil {
		return nil
	}
	switch token {
	case json.Delim('{'):
		if !d.More() && as.Kind() == reflect.Map {
			return fmt.Errorf("%s is an empty object, which asserts nothing: leave it out", where)
		}
		seen := map[string]bool{}
		for d.More() {
			token, err := d.Token()
			if err != nil {
				return nil
			}
			key, _ := token.(string) // all keys are
			at := strings.TrimPrefix(where+"."+key, ".")
			if seen[key] {
				return fmt.Errorf("%s occurs twice: give it once", at)
			}
			seen[key] = true
			value, err := member(as, key)
			if err != nil {
				return fmt.Errorf("unknown field %q: %w", at, err)
			}
			if err := validateKeys(d, value, at); err != nil {
				return err
			}
		}
	case json.Delim('['):
		if !d.More() && as != anything {
			return fmt.Errorf("%s is an empty list, which asserts nothing: leave it out; that there are none is said by "+
				"noOtherRuns, noOtherMail, noOtherFiles, or absent", where)
		}
		for i := 0; d.More(); i++ {
			if err := validateKeys(d, element(as), fmt.Sprintf("%s[%d]", where, i)); err != nil {
				return err
			}
		}
	case nil:
		if as != anything {
			return fmt.Errorf("%s is null, which asserts nothing: leave it out", where)
		}
		return nil
	case 0.0:
		if as.Kind() == reflect.Int {
			none := ""
			if strings.HasSuffix(where, ".copies") {
				none = "; that there is no such email is said by absent"
			}
			return fmt.Errorf("%s is 0, which asserts nothing: leave it out, or give 1 or more%s", where, none)
		}
		return nil
	case "":
		if as.Kind() == reflect.String {
			return fmt.Errorf("%s is empty, which asserts nothing: give a text, or leave it out", where)
		}
		return nil
	default:
		return nil
	}
	_, _ = d.Token() // the end of the object or array
	return nil
}

// anything is the type of values whose keys are free, such as outputs.
var anything = reflect.TypeFor[any]()

// member returns the type of the value of a key in an object. The error says which keys there are instead.
func member(of reflect.Type, key string) (reflect.Type, error) {
	switch {
	case of.Kind() == reflect.Map:
		return of.Elem(), nil
	case of.Kind() != reflect.Struct:
		return anything, nil
	}
	var names []string
	for _, f := range reflect.VisibleFields(of) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch names = append(names, name); {
		case name == key && f.Type == reflect.TypeFor[json.RawMessage]():
			return anything, nil
		case name == key:
			return f.Type, nil
		case strings.EqualFold(name, key):
			return nil, fmt.Errorf("it is spelt %q", name)
		}
	}
	near := ""
	if name := text.Nearest(key, names); name != "" {
		near = fmt.Sprintf("did you mean %q? ", name)
	}
	return nil, fmt.Errorf("%sthe fields there are %s", near, strings.Join(names, ", "))
}

// element returns the type of the elements of an array.
func element(of reflect.Type) reflect.Type {
	if of.Kind() == reflect.Slice {
		return of.Elem()
	}
	return anything
}
