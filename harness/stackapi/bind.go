package stackapi

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/strictjson"
)

// maxBody bounds a request.
const maxBody = 64 << 20

// bind reads a request into the input of an operation. Its errors are about the request.
func bind(r *http.Request, in reflect.Value) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return invalidf("the query of the URL: %w", err)
	}
	sent, err := read(r)
	if err != nil {
		return err
	}
	known, takesBody := map[string]bool{}, false
	for _, field := range reflect.VisibleFields(in.Type()) {
		value := in.FieldByIndex(field.Index)
		if name, ok := field.Tag.Lookup("path"); ok {
			value.SetString(r.PathValue(name))
		}
		if name, ok := field.Tag.Lookup("query"); ok {
			known[name] = true
			if err := bindQuery(value, query[name]); err != nil {
				return invalidf("parameter %s: %w", name, err)
			}
		}
		if field.Name == "Body" {
			takesBody = true
			if err := strictjson.Decode(sent, value.Addr().Interface()); errors.Is(err, strictjson.ErrEmpty) {
				return invalidf("the request has no body: give a JSON object")
			} else if err != nil {
				return invalidf("the request: %w", err)
			}
		}
	}
	for name := range query {
		if !known[name] {
			return invalidf("unknown parameter %q", name)
		}
	}
	if text := string(bytes.TrimSpace(sent)); !takesBody && text != "" && text != "{}" {
		return invalidf("%s %s takes no body", r.Method, r.URL.Path)
	}
	return nil
}

// read returns the body of a request.
func read(r *http.Request) ([]byte, error) {
	data, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case tooLarge:
		return nil, errorf("too-large", "the request has more than %d MiB", maxBody>>20)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, invalidf("the request ends before its body is complete")
	case err != nil:
		return nil, invalidf("read the request: %w", err)
	}
	return data, nil
}

// bindQuery sets a parameter that was given any number of times.
func bindQuery(to reflect.Value, values []string) error {
	if to.Kind() == reflect.Slice {
		to.Set(reflect.ValueOf(slices.Clone(values)))
		return nil
	}
	switch {
	case len(values) == 0:
		return nil
	case len(values) > 1:
		return errors.New("it is given more than once")
	case values[0] == "":
		return errors.New("it is empty: leave it out, or say what it is")
	}
	if as, ok := to.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return as.UnmarshalText([]byte(values[0]))
	}
	switch to.Kind() {
	case reflect.Bool:
		if values[0] != "true" && values[0] != "false" {
			return fmt.Errorf("%q is not true or false", values[0])
		}
		to.SetBool(values[0] == "true")
	case reflect.Int:
		n, err := strconv.Atoi(values[0])
		if err != nil || n < 0 {
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
