package main

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/mail"
	"regexp"
	"slices"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// An email is what a parser made of one: comparable texts by field. A field without an entry is not compared.
type email map[string]string

// parsed is an email as the scripts print it.
type parsed struct {
	Error              string
	Subject, MessageID string
	From, To, Cc       [][2]string
	ReplyTo            [][2]string
	Date               int64
	Text, HTML         string
	Files              []file
}

type file struct{ Name, Type, ID, SHA256 string }

// email makes the fields comparable. A parser that failed has none.
func (p parsed) email() email {
	if p.Error != "" {
		return email{}
	}
	e := email{
		"subject": normal(p.Subject), "messageID": strings.Trim(normal(p.MessageID), "<>"), "date": fmt.Sprint(p.Date),
		"text": normal(p.Text), "html": normal(p.HTML),
	}
	for field, list := range map[string][][2]string{"from": p.From, "to": p.To, "cc": p.Cc, "replyTo": p.ReplyTo} {
		e[field] = addresses(list)
	}
	var names, ids, contents []string
	for _, f := range p.Files {
		names = append(names, normal(f.Name))
		if id := strings.Trim(normal(f.ID), "<>"); id != "" {
			ids = append(ids, id)
		}
		// Texts differ in their charset and line ends, and parsers write attached messages anew.
		if kind, _, _ := strings.Cut(f.Type, "/"); kind != "text" && kind != "message" {
			contents = append(contents, f.SHA256)
		}
	}
	e["names"], e["ids"], e["bytes"] = joined(names), joined(ids), joined(contents)
	return e
}

func fromMessage(m *harness.Message) email {
	p := parsed{
		Subject: m.Subject, MessageID: m.MessageID, Text: m.Text, HTML: m.HTML,
		From: pairs(m.From), To: pairs(m.To), Cc: pairs(m.Cc), ReplyTo: pairs(m.ReplyTo),
	}
	if !m.Date.IsZero() {
		p.Date = m.Date.Unix()
	}
	for _, f := range m.Files() {
		p.Files = append(p.Files, file{f.Name, f.ContentType, f.ContentID, fmt.Sprintf("%x", sha256.Sum256(f.Data))})
	}
	return p.email()
}

func pairs(list []*mail.Address) (out [][2]string) {
	for _, a := range list {
		out = append(out, [2]string{a.Name, a.Address})
	}
	return out
}

// addresses writes a list. Entries without an address are left out: they are problems of the email and not of the parser.
func addresses(list [][2]string) string {
	var out []string
	for _, a := range list {
		name, address := normal(a[0]), normal(a[1])
		if name == address {
			name = "" // npm's parsers leave it out
		}
		if strings.Contains(address, "@") {
			out = append(out, strings.TrimSpace(name+" <"+address+">"))
		}
	}
	return strings.Join(out, ", ")
}

// joined writes a list whose order does not matter.
func joined(list []string) string {
	slices.Sort(list)
	return strings.Join(list, " | ")
}

var damage = regexp.MustCompile("\uFFFD+")

// normal collapses white space, and what parsers put in the place of damaged bytes.
func normal(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\u00a0':
			return ' '
		case r == '\ufeff', r == 0:
			return -1
		}
		return r
	}, s)
	return damage.ReplaceAllString(strings.Join(strings.Fields(s), " "), "\uFFFD")
}

// A difference is a field in which inbox disagrees with the others.
type difference struct {
	field  string
	ours   string
	theirs map[string]string
}

// compare returns the fields in which no parser agrees with ours, or in which two agree with each other and not with ours.
func compare(ours email, others map[string]email) (differences []difference) {
	for _, field := range sortedKeys(ours) {
		theirs, votes, agree := map[string]string{}, map[string]int{}, 0
		for parser, e := range others {
			if value, ok := e[field]; ok {
				theirs[parser] = value
				votes[value]++
				if value == ours[field] {
					agree++
				}
			}
		}
		most := 0
		for value, n := range votes {
			if value != ours[field] {
				most = max(most, n)
			}
		}
		if len(theirs) > 0 && (agree == 0 || most > agree) {
			differences = append(differences, difference{field, ours[field], theirs})
		}
	}
	return differences
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
