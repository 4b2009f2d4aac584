package stackapi

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/strictjson"
)

// maxBody bounds a request.
const maxBody = 64 << 20

// bind reads a request into the input of an operation. Its errors are about the request.
func bind(r *http.Request, in reflect.Value) error {
	known := map[string]bool{}
	for field, value := range in.Fields() {
		if name, ok := field.Tag.Lookup("path"); ok {
			value.SetString(r.PathValue(name))
		}
		if name, ok := field.Tag.Lookup("query"); ok {
			known[name] = true
			if err := bindQuery(value, r.URL.Query()[name]); err != nil {
				return invalidf("parameter %s: %w", name, err)
			}
		}
		if field.Name == "Body" {
			data, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
			if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
				return errorf("too-large", "the request has more than %d MiB", maxBody>>20)
			}
			if err != nil {
				return invalidf("read the request: %w", err)
			}
			if err := strictjson.Decode(data, value.Addr().Interface()); errors.Is(err, io.EOF) {
				return invalidf("the request has no body: give a JSON object")
			} else if err != nil {
				return invalidf("the request: %w", err)
			}
		}
	}
	for name := range r.URL.Query() {
		if !known[name] {
			return invalidf("unknown parameter %q", name)
		}
	}
	return nil
}

// bindQuery sets a parameter that was given any number of times.
func bindQuery(to reflect.Value, values []string) error {
	if to.Kind() == reflect.Slice {
		to.Set(reflect.ValueOf(slices.Clone(values)))
		return nil
	}
	if len(values) == 0 || values[0] == "" {
		return nil
	}
	if len(values) > 1 {
		return errors.New("it is given more than once")
	}
	if as, ok := to.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return as.UnmarshalText([]byte(values[0]))
	}
	var err error
	switch to.Kind() {
	case reflect.Bool:
		var on bool
		if on, err = strconv.ParseBool(values[0]); err != nil {
			return fmt.Errorf("%q is not true or false", values[0])
		}
		to.SetBool(on)
	case reflect.Int:
		var n int
		if n, err = strconv.Atoi(values[0]); err != nil || n < 0 {
			return fmt.Errorf("%q is no whole number", values[0])
		}
		to.SetInt(int64(n))
	default:
		to.SetString(values[0])
	}
	return nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		status, data = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be encoded","code":"failed"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // fails only if the client has gone
}
