package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/expression"
)

// batching lets a function start with several events at once.
type batching struct {
	size    int
	timeout time.Duration // from the first event
	key     key
	when    *expression.Expression // events of which it is not true start a run of their own
}

// Limits of batches.
const (
	smallestBatch   = 2
	shortestTimeout = time.Second
	maxBatchBytes   = 10 << 20
)

func parseBatching(raw json.RawMessage) (*batching, error) {
	config, err := configured[struct {
		MaxSize int     `json:"maxSize"`
		Timeout string  `json:"timeout"`
		Key     *string `json:"key"`
		If      *string `json:"if"`
	}](raw)
	if err != nil || config == nil {
		return nil, err
	}
	b := &batching{size: config.MaxSize}
	if b.timeout, err = time.ParseDuration(config.Timeout); err != nil { // without days: as the server reads it
		return nil, err
	}
	if b.size < smallestBatch || b.timeout < shortestTimeout {
		return nil, fmt.Errorf("the least are a size of %d and a timeout of %v", smallestBatch, shortestTimeout)
	}
	var keyErr, whenErr error
	b.key, keyErr = parseCheckedKey(config.Key)
	if config.If != nil {
		b.when, whenErr = expression.CompileCondition(*config.If)
	}
	return b, errors.Join(keyErr, whenErr)
}

// batch is events that wait for more.
type batch struct {
	name     string
	function *function
	events   []*event
	bytes    int
	timer    *item
}

// collect adds an event to a batch, which starts a run once it is full.
func (m *machine) collect(f *function, e *event) {
	now := m.clock.Now()
	value, _ := f.batch.key.value(e)
	name := f.ID + "\x00" + value
	b := m.admission.batches[name]
	if b == nil {
		b = &batch{name: name, function: f, timer: &item{at: now.Add(f.batch.timeout), kind: kindBatch}}
		b.timer.subject = b
		m.admission.batches[name] = b
		m.queue.push(b.timer)
	}
	b.events = append(b.events, e)
	b.bytes += len(e.json())
	m.notePending(e, f, fmt.Sprintf("%s: number %d of at most %d; the run starts at %s at the latest",
		f.batch.key.named("in a batch", value), len(b.events), f.batch.size, m.shown(b.timer.at)))
	if len(b.events) >= f.batch.size || b.bytes >= maxBatchBytes {
		m.queue.remove(b.timer)
		m.flush(b)
	}
}

// flush starts the run of a batch.
func (m *machine) flush(b *batch) {
	delete(m.admission.batches, b.name)
	f := m.current(b.function)
	if r := m.schedule(f, b.events[0], b.events); r != nil {
		for _, e := range b.events {
			m.record(e, Decision{Function: f.ID, Run: r.ID, Text: fmt.Sprintf("in a batch of %d: run %s", len(b.events), r.ID)})
		}
	}
}
