package sim

import (
	"errors"
	"fmt"
	"strings"
	"text/scanner"
)

// selection is a set of fields to read, each with its arguments and its own selection. This is as much of GraphQL as
// clients of the server use: one operation, named variables, no fragments, directives or literals.
type selection []field

type field struct {
	name      string
	arguments map[string]string // argument → variable
	of        selection
}

// parseQuery reads a query document.
func parseQuery(text string) (selection, error) {
	p := &queryParser{}
	p.Init(strings.NewReader(text))
	p.Mode = scanner.ScanIdents | scanner.ScanInts
	p.Error = func(*scanner.Scanner, string) {}
	p.advance()
	if p.token == "query" {
		for p.token != "{" { // the operation's name and the types of its variables are nothing to us
			if p.end {
				return nil, errors.New("query: no selection")
			}
			p.advance()
		}
	}
	sel, err := p.selection(0)
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	return sel, nil
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

func (p *queryParser) selection(depth int) (selection, error) {
	if depth > maxDepth {
		return nil, errors.New("nested too deeply")
	}
	if err := p.expect("{"); err != nil {
		return nil, err
	}
	var sel selection
	for p.token != "}" {
		if p.end {
			return nil, errors.New("unexpected end")
		}
		f := field{name: p.token, arguments: map[string]string{}}
		p.advance()
		if p.token == "(" {
			if err := p.args(&f); err != nil {
				return nil, err
			}
		}
		if p.token == "{" {
			of, err := p.selection(depth + 1)
			if err != nil {
				return nil, err
			}
			f.of = of
		}
		sel = append(sel, f)
		if p.token == "," {
			p.advance()
		}
	}
	p.advance()
	return sel, nil
}

func (p *queryParser) args(f *field) error {
	for p.advance(); p.token != ")"; {
		name := p.token
		p.advance()
		if err := p.expect(":"); err != nil {
			return err
		}
		if err := p.expect("$"); err != nil {
			return err
		}
		f.arguments[name] = p.token
		p.advance()
		if p.token == "," {
			p.advance()
		}
	}
	p.advance()
	return nil
}

// pick takes what is selected from a value made of maps and slices.
func (sel selection) pick(value any) (any, error) {
	switch v := value.(type) {
	case []map[string]any:
		out := make([]any, len(v))
		for i := range v {
			picked, err := sel.pick(v[i])
			if err != nil {
				return nil, err
			}
			out[i] = picked
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(sel))
		for _, f := range sel {
			inner, ok := v[f.name]
			if !ok {
				return nil, fmt.Errorf("sim does not know the field %q", f.name)
			}
			if len(f.of) > 0 && inner != nil {
				var err error
				if inner, err = f.of.pick(inner); err != nil {
					return nil, err
				}
			}
			out[f.name] = inner
		}
		return out, nil
	default:
		return value, nil
	}
}
