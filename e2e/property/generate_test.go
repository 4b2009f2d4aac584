package property

import (
	"fmt"
	"slices"

	"pgregory.net/rapid"
)

// rootEvent is the judged event.
const rootEvent = "ev/0"

// apps draws apps. A function sends only events that start later functions, and a handler of the ends of all functions
// sends none: so every app comes to an end.
var apps = rapid.Custom(func(t *rapid.T) App {
	g := &generator{T: t}
	g.app.Checkpoint = rapid.Bool().Draw(t, "checkpoint")
	extra := g.one(6)
	g.unsigned = !extra
	count := rapid.IntRange(2, 5).Draw(t, "functions")
	for i := range count {
		g.app.Functions = append(g.app.Functions, g.function(i))
	}
	for i := range count {
		g.mayPost = g.one(3)
		for range rapid.IntRange(0, 4).Draw(t, "ops") {
			if o, ok := g.op(i); ok {
				g.app.Functions[i].Body = append(g.app.Functions[i].Body, o)
			}
		}
	}
	if extra {
		for range rapid.IntRange(1, 2).Draw(t, "extra") {
			if names := g.names(0); len(names) > 0 {
				g.app.Extra = append(g.app.Extra, Op{Do: doPost, Event: rapid.SampledFrom(names).Draw(t, "event"), Other: g.one(3)})
			}
		}
	}
	return g.app
})

type generator struct {
	*rapid.T
	app      App
	mails    int
	unsigned bool // emails may be without the header that names the run
	mayPost  bool // the function may still send events past its steps
}

// one is true once in n.
func (g *generator) one(n int) bool { return rapid.IntRange(1, n).Draw(g.T, "one in n") == n }

func (g *generator) function(i int) Function {
	f := Function{On: fmt.Sprintf("ev/%d", i), Retries: rapid.IntRange(0, 2).Draw(g.T, "retries")}
	if g.one(2) {
		f.Cancel = fmt.Sprintf("stop/%d", i)
		f.SameID = g.one(2)
	}
	if i == 0 {
		return f
	}
	switch rapid.IntRange(0, 7).Draw(g.T, "trigger") {
	case 0, 1:
		f.On = fmt.Sprintf("ev/%d", rapid.IntRange(0, i).Draw(g.T, "event")) // perhaps that of an earlier function
	case 2:
		f.On = fmt.Sprintf("w%d/*", i)
	case 3, 4, 5:
		f.On = rapid.SampledFrom([]string{onFinished, onFailed, onCancelled, onInvoked}).Draw(g.T, "system event")
		if f.On != onInvoked && g.one(2) {
			f.About = rapid.IntRange(1, i).Draw(g.T, "about")
		}
	case 6:
		f.IfA = g.one(2)
	}
	return f
}

// names are the events that function i may send.
func (g *generator) names(i int) []string {
	if f := g.app.Functions[i]; isSystem(f.On) && f.About == 0 {
		return nil
	}
	var names []string
	for k, f := range g.app.Functions {
		name := f.On
		if f.On == fmt.Sprintf("w%d/*", k) {
			name = fmt.Sprintf("w%d/x", k)
		}
		earlier := slices.ContainsFunc(g.app.Functions[:i+1], func(f Function) bool { return f.starts(name, "a") })
		if k > i && !isSystem(name) && !earlier {
			names = append(names, name, name)
		}
		if f.Cancel != "" {
			names = append(names, f.Cancel)
		}
	}
	return append(names, "reply")
}

// op draws something that function i does; ok is false where it may not.
func (g *generator) op(i int) (o Op, ok bool) {
	o.Do = rapid.SampledFrom([]string{
		doStep, doStep, doStep, doSleep, doWait, doSend, doSend, doInvoke, doParallel, doMail, doPost, doFail,
	}).Draw(g.T, "do")
	switch o.Do {
	case doParallel:
		if g.app.Checkpoint {
			return o, false // the Go SDK leaves such runs without an end, on the real server too
		}
		for k := range rapid.IntRange(2, 3).Draw(g.T, "branches") {
			branch := Op{Do: rapid.SampledFrom([]string{doStep, doStep, doSleep, doWait, doSend, doInvoke}).Draw(g.T, "branch")}
			if g.fill(i, &branch) {
				branch.ID = fmt.Sprintf("branch %d", k) // of steps that begin together none is the first
				o.Inside = append(o.Inside, branch)
			}
		}
		o.Catch = g.one(2)
		return o, len(o.Inside) > 0
	default:
		return o, g.fill(i, &o)
	}
}

// fill draws the fields of an op of function i.
func (g *generator) fill(i int, o *Op) (ok bool) {
	if !slices.Contains([]string{doMail, doPost, doFail, doLinger}, o.Do) {
		o.ID = rapid.SampledFrom([]string{"x", "y", "z"}).Draw(g.T, "id") // few, so that some are repeated
	}
	switch o.Do {
	case doStep:
		for range rapid.IntRange(0, 3).Draw(g.T, "inside") {
			in := Op{Do: rapid.SampledFrom([]string{doMail, doMail, doPost, doLinger}).Draw(g.T, "in a step")}
			if g.fill(i, &in) {
				o.Inside = append(o.Inside, in)
			}
		}
		if g.one(3) {
			o.Fails, o.Catch = rapid.IntRange(1, 3).Draw(g.T, "fails"), g.one(2)
			o.Final = g.one(3)
		}
	case doWait:
		o.Event, o.SameID = "reply", g.one(3)
	case doSend, doPost:
		names := g.names(i)
		if len(names) == 0 || o.Do == doPost && !g.mayPost {
			return false
		}
		g.mayPost = g.mayPost && o.Do != doPost
		o.Event, o.Other = rapid.SampledFrom(names).Draw(g.T, "event"), g.one(3)
	case doInvoke:
		if i+1 >= len(g.app.Functions) || isSystem(g.app.Functions[i].On) && g.app.Functions[i].About == 0 {
			return false
		}
		o.Function, o.Catch = rapid.IntRange(i+1, len(g.app.Functions)-1).Draw(g.T, "invokes"), g.one(2)
		return !isSystem(g.app.Functions[o.Function].On)
	case doMail:
		if g.mails == 3 {
			return false
		}
		g.mails++
		o.To = rapid.SliceOfNDistinct(rapid.SampledFrom(people), 1, mostRecipients, rapid.ID).Draw(g.T, "to")
		o.Subject = rapid.SampledFrom([]string{"Hello", "Bye"}).Draw(g.T, "subject")
		o.Unsigned = g.unsigned && g.one(4)
	case doFail:
		o.Fails, o.Final = rapid.IntRange(1, 3).Draw(g.T, "fails"), g.one(4)
	}
	return true
}

var people = []string{"kim@plant.test", "lee@plant.test", "max@plant.test"}

const mostRecipients = 2
