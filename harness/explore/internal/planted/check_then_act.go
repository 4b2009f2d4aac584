package planted

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// A limit of one call at a time would not help: between two steps of a run, steps of the other one are executed.
var checkThenAct = App{
	Name:   "check-then-act",
	Defect: "one step looks whether a seat is free and the next one takes it, so two runs take the same seat",
	Broken: serve(bookSeat(false)),
	Right:  serve(bookSeat(true)),
	Send: []harness.Event{
		{Name: "seat/wanted", Data: wish{Seat: "12", To: kim}}, {Name: "seat/wanted", Data: wish{Seat: "12", To: lee}},
	},
	Invariant: seatsAreTakenOnce,
	Expect: harness.Expectation{
		Runs: []harness.RunExpectation{ended("book-seat", completed)},
		Mail: []harness.MailExpectation{{To: kim, Subject: harness.Matches(`^Seat 12 is (yours|taken)$`)}},
	},
}

type wish struct {
	Seat string `json:"seat"`
	To   string `json:"to"`
}

func bookSeat(right bool) func(*shop) {
	return func(s *shop) {
		on(s, "seat/wanted", "book-seat", func(ctx context.Context, in inngestgo.Input[wish]) (any, error) {
			w := in.Event.Data
			key := "seat:" + w.Seat
			free, err := step.Run(ctx, "look", func(context.Context) (bool, error) {
				holders := strings.Fields(s.store.get(key))
				return len(holders) == 0 || slices.Contains(holders, w.To), nil // it may be another attempt's
			})
			if err != nil {
				return nil, err
			}
			mine := false
			if free {
				mine, err = step.Run(ctx, "take", func(context.Context) (bool, error) {
					mine := true
					err := s.store.update(func(r record) error {
						holders := strings.Fields(r[key])
						mine = !right || len(holders) == 0 || slices.Contains(holders, w.To)
						if mine && !slices.Contains(holders, w.To) {
							r[key] = strings.Join(append(holders, w.To), " ")
						}
						return nil
					})
					return mine, err
				})
				if err != nil {
					return nil, err
				}
			}
			m := mail{run: in.InputCtx.RunID, to: w.To, subject: "Seat " + w.Seat + " is taken", id: "seat-" + w.Seat + "-" + w.To[:3]}
			if mine {
				m.subject = "Seat " + w.Seat + " is yours"
			}
			return nil, run(ctx, "tell", func() error { return s.once(m.id, func() error { return s.send(m) }) })
		})
	}
}

// seatsAreTakenOnce says that no seat has two holders.
func seatsAreTakenOnce(ctx context.Context, env harness.Env) error {
	all, err := stored(ctx, env)
	if err != nil {
		return err
	}
	var errs []error
	for key, holders := range all {
		if seat, ok := strings.CutPrefix(key, "seat:"); ok && strings.Contains(holders, " ") {
			errs = append(errs, fmt.Errorf("seat %s is taken by %s", seat, strings.Join(strings.Fields(holders), " and by ")))
		}
	}
	return errors.Join(errs...)
}
