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

// ParseExpectation reads an expectation from JSON. Unknown fields, keys that stand twice or are not spelt exactly as the
// field, text behind the value, and an expectation that is not valid are errors.
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
	// The decoder ignores the case of keys, and puts what stands twice on top of each other.
	if err := checkKeys(json.NewDecoder(bytes.NewReader(data)), reflect.TypeFor[Expectation](), ""); err != nil {
		return e, fmt.Errorf("expectation: %w", err)
	}
	return e, e.Validate()
}

// checkKeys reads the next value, which is decoded as a type and known to be good otherwise, and returns an error if an
// object in it has a key twice, or one that is not spelt as the field is. where is the path to it.
func checkKeys(d *json.Decoder, as reflect.Type, where string) error {
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
				return fmt.Errorf("%s stands twice: give it once", at)
			}
			seen[key] = true
			value, spelt := member(as, key)
			if spelt != key {
				return fmt.Errorf("unknown field %q: it is spelt %q", at, spelt)
			}
			if err := checkKeys(d, value, at); err != nil {
				return err
			}
		}
	case json.Delim('['):
		for i := 0; d.More(); i++ {
			if err := checkKeys(d, element(as), fmt.Sprintf("%s[%d]", where, i)); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	_, err = d.Token() // the end of the object or array
	return err
}

// anything is the type of values within which keys are free: outputs.
var anything = reflect.TypeFor[any]()

// member returns the type of what stands under a key, and how the key is spelt.
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

// element returns the type of what stands in an array.
func element(of reflect.Type) reflect.Type {
	if of.Kind() == reflect.Slice && of != reflect.TypeFor[json.RawMessage]() {
		return of.Elem()
	}
	return anything
}
