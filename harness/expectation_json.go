package harness

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/strictjson"
)

// ParseExpectation reads an expectation from JSON. It returns an error for unknown fields, keys that occur twice or are
// not spelt exactly like the field, text after the value, and an expectation that is not valid. A key "$schema", which editors
// read, is ignored.
func ParseExpectation(data []byte) (Expectation, error) {
	var e Expectation
	if err := strictjson.DecodeAndCheck(data, &e, asserts); err != nil {
		return e, fmt.Errorf("expectation: %s; `harness schema expectation` describes all fields", strings.TrimPrefix(err.Error(), "json: "))
	}
	return e, e.Validate()
}

// asserts returns an error for a value that reads like an assertion and is none.
func asserts(value json.Token, empty bool, as reflect.Type, where string) error {
	number, isNumber := value.(json.Number)
	amount, err := number.Float64()
	switch {
	case empty && value == json.Delim('{') && as.Kind() == reflect.Map:
		return fmt.Errorf("%s is an empty object, which asserts nothing: leave it out", where)
	case empty && value == json.Delim('[') && as != strictjson.Anything:
		return fmt.Errorf("%s is an empty list, which asserts nothing: leave it out; that there are none is said by "+
			"noOtherRuns, noOtherMail, noOtherFiles, or absent", where)
	case value == nil && as != strictjson.Anything:
		return fmt.Errorf("%s is null, which asserts nothing: leave it out", where)
	case isNumber && err == nil && amount == 0 && as.Kind() == reflect.Int:
		none := ""
		if strings.HasSuffix(where, ".copies") {
			none = "; that there is no such email is said by absent"
		}
		return fmt.Errorf("%s is 0, which asserts nothing: leave it out, or give 1 or more%s", where, none)
	case value == "" && as.Kind() == reflect.String:
		return fmt.Errorf("%s is empty, which asserts nothing: give a text, or leave it out", where)
	}
	return nil
}
