package judge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"slices"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// outputDiff says how the output of a run or step with a status differs from want; "" where it matches. Of an object only
// the fields in want count.
func (c *chain) outputDiff(want, got json.RawMessage, status harness.Status) string {
	if len(want) == 0 {
		return ""
	}
	w, err := decode(want)
	if err != nil {
		return fmt.Sprintf("the expected output is not JSON: %v", err)
	}
	var g any // what returned nothing returned null
	switch {
	case len(got) > 0:
		if g, err = decode(got); err != nil {
			return fmt.Sprintf("the output is not JSON: %v", err)
		}
	case status != harness.StatusCompleted:
		return fmt.Sprintf("it is %s and has no output, want %s", status, c.compact(w))
	}
	return c.mismatch("output", w, g)
}

// decode returns a value whose integers are exact, however large, and whose other numbers are a float64 as they are for
// most programs.
func decode(data json.RawMessage) (v any, err error) {
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	err = d.Decode(&v)
	return exact(v), err
}

// exact replaces the numbers in a value, so that equal ones have one form.
func exact(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key := range v {
			v[key] = exact(v[key])
		}
	case []any:
		for i := range v {
			v[i] = exact(v[i])
		}
	case json.Number:
		if n, ok := new(big.Rat).SetString(v.String()); ok && n.IsInt() {
			return json.Number(n.Num().String())
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
	}
	return v
}

// mismatch describes the first place where got differs from want; "" where there is none.
func (c *chain) mismatch(at string, want, got any) string {
	w, ok := want.(map[string]any)
	if !ok {
		if reflect.DeepEqual(want, got) {
			return ""
		}
		return fmt.Sprintf("%s is %s, want %s", at, c.compact(got), c.compact(want))
	}
	g, ok := got.(map[string]any)
	if !ok {
		return fmt.Sprintf("%s is %s, want an object with %s", at, c.compact(got), c.compact(want))
	}
	for _, key := range slices.Sorted(maps.Keys(w)) {
		v, ok := g[key]
		if !ok {
			return fmt.Sprintf("%s has no field %q, want %s", at, key, c.compact(w[key]))
		}
		if diff := c.mismatch(at+"."+key, w[key], v); diff != "" {
			return diff
		}
	}
	return ""
}

func (c *chain) compact(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return text.Clip(c.redact(string(data)), 200)
}
