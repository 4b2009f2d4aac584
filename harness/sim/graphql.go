package sim

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/scanner"
)

// document is a query: one selection, and the fragments that it names. This is as much of GraphQL as clients of the server
// use: fields with aliases and arguments, variables, texts and flags, and fragments. Directives are not.
type document struct {
	selection []field
	fragments map[string][]field
}

// field is one thing to read; without a name it is a fragment put in place.
type field struct {
	alias, name string
	arguments   map[string]argument
	of          []field
	spread      string // name of a fragment
}

// argument is a literal, or the value of a variable.
type argument struct {
	variable string
	literal  any
}

func (f field) argument(name string, variables map[string]any) any {
	a := f.arguments[name]
	if a.variable != "" {
		return variables[a.variable]
	}
	return a.literal
}

// parseQuery reads a query document.
func parseQuery(text string) (document, error) {
	p := &queryParser{}
	p.Init(strings.NewReader(text))
	p.Mode = scanner.ScanIdents | scanner.ScanInts | scanner.ScanStrings
	p.Error = func(*scanner.Scanner, string) {}
	p.advance()
	doc := document{fragments: map[string][]field{}}
	for !p.end {
		name := ""
		if p.token == "fragment" {
			p.advance()
			name = p.token
		}
		for p.token != "{" { // names and types of an operation's variables are nothing to us
			if p.end {
				return document{}, errors.New("query: no selection")
			}
			p.advance()
		}
		sel, err := p.selection(0)
		if err != nil {
			return document{}, fmt.Errorf("query: %w", err)
		}
		if name != "" {
			doc.fragments[name] = sel
		} else {
			doc.selection = sel
		}
	}
	return doc, nil
}

type queryParser struct {
	scanner.Scanner
	token string
	end   bool
}

func (p *queryParser) advance() {
	p.end = p.Scan() == scanner.EOF
	p.token = p.TokenText()
}

func (p *queryParser) expect(token string) error {
	if p.token != token || p.end {
		return fmt.Errorf("at %s: %q where %q should be", p.Position, p.token, token)
	}
	p.advance()
	return nil
}

// maxDepth keeps a hostile query from exhausting the stack.
const maxDepth = 32

func (p *queryParser) selection(depth int) ([]field, error) {
	if depth > maxDepth {
		return nil, errors.New("nested too deeply")
	}
	if err := p.expect("{"); err != nil {
		return nil, err
	}
	var sel []field
	for p.token != "}" {
		if p.end {
			return nil, errors.New("unexpected end")
		}
		f, err := p.field(depth)
		if err != nil {
			return nil, err
		}
		sel = append(sel, f)
		if p.token == "," {
			p.advance()
		}
	}
	p.advance()
	return sel, nil
}

func (p *queryParser) field(depth int) (field, error) {
	var f field
	if p.token == "." {
		for range 3 {
			if err := p.expect("."); err != nil {
				return f, err
			}
		}
		if p.token != "on" {
			f.spread = p.token
			p.advance()
			return f, nil
		}
		p.advance() // the type: what does not have the fields is left as it is
	}
	f.alias, f.name = p.token, p.token
	p.advance()
	if p.token == ":" {
		p.advance()
		f.name = p.token
		p.advance()
	}
	if p.token == "(" {
		if err := p.args(&f); err != nil {
			return f, err
		}
	}
	if p.token == "{" {
		of, err := p.selection(depth + 1)
		f.of = of
		return f, err
	}
	return f, nil
}

func (p *queryParser) args(f *field) error {
	f.arguments = map[string]argument{}
	for p.advance(); p.token != ")"; {
		name := p.token
		p.advance()
		if err := p.expect(":"); err != nil {
			return err
		}
		var a argument
		switch {
		case p.token == "$":
			p.advance()
			a.variable = p.token
		case strings.HasPrefix(p.token, `"`):
			text, err := strconv.Unquote(p.token)
			if err != nil {
				return fmt.Errorf("at %s: %w", p.Position, err)
			}
			a.literal = text
		default:
			a.literal = p.token
		}
		f.arguments[name] = a
		p.advance()
		if p.token == "," {
			p.advance()
		}
	}
	p.advance()
	return nil
}

// pick takes what is selected from a value made of maps and slices.
func (d document) pick(sel []field, value any) (any, error) {
	switch v := value.(type) {
	case []map[string]any:
		out := make([]any, len(v))
		for i := range v {
			picked, err := d.pick(sel, v[i])
			if err != nil {
				return nil, err
			}
			out[i] = picked
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(sel))
		return out, d.pickInto(out, sel, v, 0)
	default:
		return value, nil
	}
}

func (d document) pickInto(out map[string]any, sel []field, from map[string]any, depth int) error {
	if depth > maxDepth {
		return errors.New("fragments nested too deeply")
	}
	for _, f := range sel {
		if f.spread != "" {
			if err := d.pickInto(out, d.fragments[f.spread], from, depth+1); err != nil {
				return err
			}
			continue
		}
		inner, ok := from[f.name]
		if !ok {
			// An inline fragment is parsed as a field with the name of its type.
			if len(f.of) > 0 && strings.HasSuffix(f.name, "StepInfo") {
				if err := d.pickInto(out, f.of, from, depth+1); err != nil {
					return err
				}
				continue
			}
			return fmt.Errorf("sim does not know the field %q", f.name)
		}
		if len(f.of) > 0 && inner != nil {
			var err error
			if inner, err = d.pick(f.of, inner); err != nil {
				return err
			}
		}
		out[f.alias] = inner
	}
	return nil
}
