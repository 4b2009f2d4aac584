package secret

import (
	"encoding/json"
	"reflect"
)

// Redact returns v with the secrets left out of every text in it, in whatever depth: a copy of what has some, v itself
// where nothing has. Fields that are not exported stay as they are.
func Redact[T any](s *Set, v T) T {
	redacted, _ := s.value(reflect.ValueOf(&v).Elem())
	return redacted.Interface().(T)
}

var rawJSON = reflect.TypeFor[json.RawMessage]()

// value returns v without secrets, and whether that is another value.
func (s *Set) value(v reflect.Value) (_ reflect.Value, changed bool) {
	switch v.Kind() {
	case reflect.String:
		text := s.Text(v.String())
		if text == v.String() {
			return v, false
		}
		return reflect.ValueOf(text).Convert(v.Type()), true
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
		return s.fields(v)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return s.bytes(v)
		}
		return s.elements(v)
	case reflect.Map:
		return s.entries(v)
	default:
		return v, false
	}
}

func (s *Set) fields(v reflect.Value) (reflect.Value, bool) {
	redacted, changed := v, false
	for i := range v.NumField() {
		if !v.Type().Field(i).IsExported() {
			continue
		}
		field, other := s.value(v.Field(i))
		if !other {
			continue
		}
		if !changed {
			redacted, changed = reflect.New(v.Type()).Elem(), true
			redacted.Set(v)
		}
		redacted.Field(i).Set(field)
	}
	return redacted, changed
}

func (s *Set) bytes(v reflect.Value) (reflect.Value, bool) {
	before := string(v.Bytes())
	text := s.Text(before)
	if text == before {
		return v, false
	}
	if v.Type() == rawJSON && !json.Valid([]byte(text)) {
		// A secret need not stand in quotes, as a number does not.
		quoted, err := json.Marshal(text)
		if err == nil {
			text = string(quoted)
		}
	}
	return reflect.ValueOf([]byte(text)).Convert(v.Type()), true
}

func (s *Set) elements(v reflect.Value) (reflect.Value, bool) {
	redacted, changed := v, false
	for i := range v.Len() {
		e, other := s.value(v.Index(i))
		if !other {
			continue
		}
		if !changed {
			redacted, changed = reflect.MakeSlice(v.Type(), v.Len(), v.Len()), true
			reflect.Copy(redacted, v)
		}
		redacted.Index(i).Set(e)
	}
	return redacted, changed
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
