package judge

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// outputDiff says how got differs from want; "" where it matches. Of an object only the fields in want count.
func (c *chain) outputDiff(want, got json.RawMessage) string {
	if len(want) == 0 {
		return ""
	}
	var w, g any
	if err := json.Unmarshal(want, &w); err != nil {
		return fmt.Sprintf("the expected output is not JSON: %v", err)
	}
	if len(got) > 0 {
		if err := json.Unmarshal(got, &g); err != nil {
			return fmt.Sprintf("the output is not JSON: %v", err)
		}
	}
	return c.mismatch("output", w, g)
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
