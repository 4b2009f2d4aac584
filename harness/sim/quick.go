package sim

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// quickOps reads opcodes as SDKs write them: a list of objects whose keys are spelt as in the specification and whose names
// are plain text. ok is false for everything else, right or wrong, which encoding/json then reads: at a third of the speed,
// and reading answers is a good part of what a Sim does. The opcodes refer to the body.
func quickOps(body []byte) (ops []opcode, ok bool) {
	if !json.Valid(body) {
		return nil, false
	}
	list := walker{body}
	if !list.take('[') {
		return nil, false
	}
	for !list.take(']') {
		object := walker{list.value()}
		if !object.take('{') {
			return nil, false
		}
		var o opcode
		for !object.take('}') {
			key, plain := unquote(object.value())
			object.take(':')
			if !plain || !o.set(key, object.value()) {
				return nil, false
			}
			object.take(',')
		}
		ops = append(ops, o)
		list.take(',')
	}
	return ops, true
}

// set sets the field of a key. It returns false if encoding/json must.
func (o *opcode) set(key string, raw []byte) (ok bool) {
	null := string(raw) == "null"
	switch key {
	case "op":
		o.Op, ok = unquote(raw)
	case "id":
		o.ID, ok = unquote(raw)
	case "name":
		o.Name, ok = unquote(raw)
	case "displayName":
		if o.DisplayName = nil; null {
			return true
		}
		var name string
		name, ok = unquote(raw)
		o.DisplayName = &name
	case "opts":
		o.Opts, ok = raw, true
	case "data":
		o.Data, ok = raw, true
	case "error":
		return null && o.Error == nil
	case "userland":
		if o.Userland = nil; null {
			return true
		}
		o.Userland, ok = quickUserland(raw)
	default:
		return !slices.ContainsFunc(opcodeKeys, func(known string) bool { return strings.EqualFold(known, key) })
	}
	return ok
}

// opcodeKeys are the keys that mean something, however they are spelt.
var opcodeKeys = []string{"op", "id", "name", "displayName", "opts", "data", "error", "userland"}

func quickUserland(raw []byte) (u *userland, ok bool) {
	object := walker{raw}
	if !object.take('{') {
		return nil, false
	}
	u = &userland{}
	for !object.take('}') {
		key, plain := unquote(object.value())
		object.take(':')
		raw := object.value()
		switch {
		case plain && key == "id":
			u.ID, ok = unquote(raw)
		case plain && key == "index":
			var err error
			u.Index, err = strconv.Atoi(string(raw))
			ok = err == nil
		default:
			ok = false
		}
		if !ok {
			return nil, false
		}
		object.take(',')
	}
	return u, true
}

// unquote returns a text that stands as it is between its quotes, in ASCII.
func unquote(raw []byte) (text string, plain bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	raw = raw[1 : len(raw)-1]
	for _, c := range raw {
		if c == '\\' || c >= 0x80 {
			return "", false
		}
	}
	return string(raw), true
}

// walker walks over valid JSON.
type walker struct{ rest []byte }

// take steps over a byte if it is what comes next.
func (w *walker) take(c byte) bool {
	w.blanks()
	if len(w.rest) == 0 || w.rest[0] != c {
		return false
	}
	w.rest = w.rest[1:]
	return true
}

func (w *walker) blanks() {
	for len(w.rest) > 0 && (w.rest[0] == ' ' || w.rest[0] == '\n' || w.rest[0] == '\r' || w.rest[0] == '\t') {
		w.rest = w.rest[1:]
	}
}

// value steps over a value and returns it.
func (w *walker) value() []byte {
	w.blanks()
	depth := 0
	for i := 0; i < len(w.rest); i++ {
		switch w.rest[i] {
		case '"':
			for i++; w.rest[i] != '"'; i++ {
				if w.rest[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return w.cut(i + 1)
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return w.cut(i) // a number or a word ends with what holds it
			}
			if depth--; depth == 0 {
				return w.cut(i + 1)
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return w.cut(i)
			}
		}
	}
	return w.cut(len(w.rest))
}

func (w *walker) cut(n int) []byte {
	v := w.rest[:n:n]
	w.rest = w.rest[n:]
	return v
}
