package secret

import (
	"encoding/json"
	"reflect"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// Redact returns v with the secrets masked in every text in it, at any depth. It copies only what contains secrets, and
// returns v itself if nothing does. Unexported fields stay as they are.
func Redact[T any](s *Set, v T) T {
	redacted, _ := s.value(reflect.ValueOf(&v).Elem())
	return redacted.Interface().(T)
}

var rawJSON = reflect.TypeFor[json.RawMessage]()

// value returns v without secrets, and whether it differs from v.
func (s *Set) value(v reflect.Value) (_ reflect.Value, changed bool) {
	switch v.Kind() {
	case reflect.String:
		after := s.Text(v.String())
		if after == v.String() {
			return v, false
		}
		return reflect.ValueOf(after).Convert(v.Type()), true
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return v, false
		}
		elem, changed := s.value(v.Elem())
		if !changed {
			return v, false
		}
		if v.Kind() == reflect.Interface {
			return elem.Convert(v.Type()), true
		}
		p := reflect.New(v.Type().Elem())
		p.Elem().Set(elem)
		return p, true
	case reflect.Struct:
		return s.parts(v, v.NumField(), reflect.Value.Field)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return s.bytes(v)
		}
		return s.parts(v, v.Len(), reflect.Value.Index)
	case reflect.Map:
		return s.entries(v)
	default:
		return v, false
	}
}

// parts returns a copy of v without secrets, if one of its n parts has some. part returns the i-th part of v or of the
// copy.
func (s *Set) parts(v reflect.Value, n int, part func(v reflect.Value, i int) reflect.Value) (reflect.Value, bool) {
	redacted, changed := v, false
	for i := range n {
		old := part(v, i)
		if !old.CanInterface() {
			continue // an unexported field
		}
		clean, other := s.value(old)
		if !other {
			continue
		}
		if !changed {
			redacted, changed = reflect.New(v.Type()).Elem(), true
			redacted.Set(v)
			if v.Kind() == reflect.Slice {
				redacted.Set(reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, n), v))
			}
		}
		part(redacted, i).Set(clean)
	}
	return redacted, changed
}

func (s *Set) bytes(v reflect.Value) (reflect.Value, bool) {
	before := string(v.Bytes())
	after := s.Text(before)
	if after == before {
		return v, false
	}
	if v.Type() == rawJSON {
		return reflect.ValueOf(text.JSON([]byte(after))), true // a secret may be a JSON number, without quotes
	}
	return reflect.ValueOf([]byte(after)).Convert(v.Type()), true
}

func (s *Set) entries(v reflect.Value) (reflect.Value, bool) {
	redacted, changed := v, false
	for _, key := range v.MapKeys() {
		e, other := s.value(v.MapIndex(key))
		if !other {
			continue
		}
		if !changed {
			redacted, changed = reflect.MakeMapWithSize(v.Type(), v.Len()), true
			for _, k := range v.MapKeys() {
				redacted.SetMapIndex(k, v.MapIndex(k))
			}
		}
		redacted.SetMapIndex(key, e)
	}
	return redacted, changed
}
