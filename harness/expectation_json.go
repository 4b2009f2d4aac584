package harness

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// ParseExpectation reads an expectation from JSON. It returns an error for unknown fields, keys that occur twice or are
// not spelt exactly like the field, text after the value, and an expectation that is not valid.
func ParseExpectation(data []byte) (Expectation, error) {
	var e Expectation
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return e, fmt.Errorf("expectation: %s: the fields are runs, mail, noOtherRuns and noOtherMail; see docs/writing-tests.md",
			strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return e, errors.New("expectation: there is more behind the JSON value: give one expectation")
	}
	// The decoder ignores the case of keys and accepts repeated ones.
	if err := validateKeys(json.NewDecoder(bytes.NewReader(data)), reflect.TypeFor[Expectation](), ""); err != nil {
		return e, fmt.Errorf("expectation: %w", err)
	}
	return e, e.Validate()
}

// validateKeys reads the next value, which decodes as a type without error, and returns an error if an object in it has a
// key twice, or a key that is not spelt like the field. where is the path to the value.
func validateKeys(d *json.Decoder, as reflect.Type, where string) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		seen := map[string]bool{}
		for d.More() {
			token, err := d.Token()
			if err != nil {
				return err
			}
			key, _ := token.(string) // all keys are
			at := strings.TrimPrefix(where+"."+key, ".")
			if seen[key] {
				return fmt.Errorf("%s occurs twice: give it once", at)
			}
			seen[key] = true
			value, spelt := member(as, key)
			if spelt != key {
				return fmt.Errorf("unknown field %q: it is spelt %q", at, spelt)
			}
			if err := validateKeys(d, value, at); err != nil {
				return err
			}
		}
	case json.Delim('['):
		for i := 0; d.More(); i++ {
			if err := validateKeys(d, element(as), fmt.Sprintf("%s[%d]", where, i)); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	_, err = d.Token() // the end of the object or array
	return err
}

// anything is the type of values whose keys are free, such as outputs.
var anything = reflect.TypeFor[any]()

// member returns the type of the value of a key, and the spelling of the key.
func member(of reflect.Type, key string) (value reflect.Type, spelt string) {
	if of.Kind() == reflect.Struct {
		for _, f := range reflect.VisibleFields(of) {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); strings.EqualFold(name, key) {
				return f.Type, name
			}
		}
	}
	return anything, key
}

// element returns the type of the elements of an array.
func element(of reflect.Type) reflect.Type {
	if of.Kind() == reflect.Slice && of != reflect.TypeFor[json.RawMessage]() {
		return of.Elem()
	}
	return anything
}
