package api_test

import (
	"encoding/json"
	"net/mail"
	"path"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/stackapi"
)

// What Go writes of a value that has something in every field, and of one that has as little as possible, conforms to the
// schema of its type.
func TestSchemas_TakeWhatGoWrites(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	types := map[string]reflect.Type{}
	for name, of := range files {
		if name == "fault" || name == "interventions" || name == "expectation" {
			continue // most combinations of their fields are invalid: see TestSchemas_AgreeWithParsers
		}
		types[name] = of
	}
	for _, op := range stackapi.Operations() {
		if op.Out != nil {
			types["the answer to "+op.ID] = op.Out
		}
	}
	for name, of := range types {
		schema := m.schema(of)
		schema.Definitions = m.needed(schema)
		compiled, err := compilerOf(t, "x", encode(t, schema)).Compile("x")
		require.NoError(t, err)
		for _, all := range []bool{true, false} {
			v := reflect.New(of).Elem()
			if fill(v, all, 0); of.Kind() == reflect.Slice && !all {
				v.Set(reflect.MakeSlice(of, 0, 0)) // the server makes all lists
			}
			text, err := json.Marshal(v.Interface())
			require.NoError(t, err)
			value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
			require.NoError(t, err)
			require.NoError(t, compiled.Validate(value), "%s: %s", name, text)
		}
	}
}

// fill sets what a value must have, or all of it.
func fill(v reflect.Value, all bool, depth int) {
	t := v.Type()
	if some := values(t); some != nil {
		v.Set(reflect.ValueOf(some[0]))
		return
	}
	switch t {
	case typeOf[time.Time]():
		v.Set(reflect.ValueOf(time.Date(2026, 11, 28, 9, 0, 0, 123e6, time.UTC)))
		return
	case typeOf[json.RawMessage]():
		if all {
			v.SetBytes([]byte(`{"a":[1]}`))
		}
		return
	case typeOf[harness.Addresses]():
		v.Set(reflect.ValueOf(harness.Addresses{{Name: "Kim", Address: "kim@plant.test"}, (*mail.Address)(&mail.Address{Address: "a@b"})}))
		return
	case typeOf[regexp.Regexp]():
		v.Set(reflect.ValueOf(*regexp.MustCompile("a+")))
		return
	case typeOf[sim.Fault]():
		v.Set(reflect.ValueOf(sim.Fault{Late: time.Hour}))
		return
	}
	if path.Base(t.PkgPath()) == "jsontime" || t == typeOf[time.Duration]() {
		v.SetInt(int64(1500 * time.Millisecond))
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		for f, value := range v.Fields() {
			_, optional := strings.CutSuffix(f.Tag.Get("json"), "omitempty")
			switch {
			case !f.IsExported(), f.Tag.Get("json") == "-", optional && !all:
			case f.Name == "By" && t == typeOf[harness.SMTPLine]():
				value.SetString("app")
			case f.Name == "Code" && t == typeOf[stackapi.Failure]():
				value.SetString("failed")
			case f.Name == "Fault" && t == typeOf[stackapi.Fault]():
				require.NoError(nil, json.Unmarshal([]byte(`{"at":"dot","do":"delay","for":"1s"}`), value.Addr().Interface()))
			case f.Name == "Runs" && t == typeOf[stackapi.Event](), f.Name == "Headers" && t == typeOf[harness.Message]():
				value.Set(reflect.MakeSlice(f.Type, 0, 0)) // who makes one makes the list
				if all {
					fill(value, all, depth+1)
				}
			case f.Name == "Data" && t == typeOf[harness.Event](), f.Name == "User":
				value.Set(reflect.ValueOf(map[string]any{"a": 1}))
			default:
				fill(value, all, depth+1)
			}
		}
	case reflect.Pointer:
		if depth < 12 {
			v.Set(reflect.New(t.Elem()))
			fill(v.Elem(), all, depth+1)
		}
	case reflect.Slice:
		if all && depth < 12 {
			v.Set(reflect.MakeSlice(t, 1, 1))
			fill(v.Index(0), all, depth+1)
		}
	case reflect.Map:
		if all {
			v.Set(reflect.MakeMap(t))
			element := reflect.New(t.Elem()).Elem()
			fill(element, all, depth+1)
			v.SetMapIndex(reflect.ValueOf("key"), element)
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(all)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(1)
	case reflect.Float64:
		v.SetFloat(0.5)
	}
}
