package harness

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
)

// A Match says what a text must be: all that its fields say. Its zero value asserts nothing. [Equals], [Contains],
// [Matches], [Present] and [Absent] return one with one field.
//
// In JSON it is an object with these fields. A text in its place stands for Equals, a list of texts for Contains.
type Match struct {
	// Equals is the whole text.
	Equals *string `json:"equals,omitempty"`
	// Contains lists parts of the text.
	Contains Texts `json:"contains,omitempty"`
	// Matches is a regular expression in the syntax of package regexp. It may match any part of the text: ^ and $ stand for
	// the ends of the whole.
	Matches string `json:"matches,omitempty"`
	// Present requires a text that is not empty, or a header with the name. Absent requires that there is none, and excludes
	// the other fields.
	Present bool `json:"present,omitempty"`
	Absent  bool `json:"absent,omitempty"`
}

// Equals matches one text only.
func Equals(text string) Match { return Match{Equals: &text} }

// Contains matches a text that has all these parts.
func Contains(parts ...string) Match { return Match{Contains: parts} }

// Matches matches a text of which a part matches a regular expression.
func Matches(expression string) Match { return Match{Matches: expression} }

// Present matches any text but none.
func Present() Match { return Match{Present: true} }

// Absent matches where there is no text.
func Absent() Match { return Match{Absent: true} }

// IsZero reports whether m asserts nothing.
func (m Match) IsZero() bool { return assertions(m) == 0 }

// UnmarshalJSON implements [json.Unmarshaler].
func (m *Match) UnmarshalJSON(data []byte) error {
	type plain Match // without methods
	switch data = bytes.TrimSpace(data); data[0] {
	case '{':
		if err := json.Unmarshal(data, (*plain)(m)); err != nil {
			return err
		}
		if m.IsZero() {
			return errors.New("an object that asserts nothing: say equals, contains, matches, present or absent")
		}
		return nil
	case '[':
		return json.Unmarshal(data, &m.Contains)
	default:
		return json.Unmarshal(data, &m.Equals)
	}
}

// validate says what is wrong with m; nil for a valid one.
func (m Match) validate() error {
	if slices.Contains(m.Contains, "") {
		return errors.New("it looks for an empty piece of text, which every email contains")
	}
	if _, err := regexp.Compile(m.Matches); err != nil {
		return fmt.Errorf("matches is no regular expression: %w", err)
	}
	if m.Absent && assertions(m) > 1 {
		return errors.New("absent excludes everything else that can be said of a text")
	}
	return nil
}

// Texts is a list of texts. In JSON a single text stands for a list of one.
type Texts []string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *Texts) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte(`"`)) {
		*t = make(Texts, 1)
		return json.Unmarshal(data, &(*t)[0])
	}
	return json.Unmarshal(data, (*[]string)(t))
}
