package planted

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/inngest/inngestgo"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// A cancelled run stops between two steps, and what it has done so far stays. A step that was under way goes on in the app,
// even after the run's end has been handled: an order that was closed is not reserved any more.
var halfCancelled = App{
	Name:   "half-cancelled",
	Defect: "a run that is cancelled after it reserved something leaves it reserved, because only failed runs are cleaned up",
	Broken: serve(sell(false)),
	Right:  serve(sell(true)),
	Send:   []harness.Event{placed, {Name: "order/cancelled", Data: order{Order: "7"}}},
	Expect: harness.Expectation{
		Runs:        []harness.RunExpectation{{Function: "sell"}},
		NoOtherMail: true,
	},
	Invariant: nothingStaysReserved,
}

func sell(right bool) func(*shop) {
	return func(s *shop) {
		bought := inngestgo.MultipleTriggers{inngestgo.EventTrigger("order/placed", nil)}
		o := inngestgo.FunctionOpts{ID: "sell", Cancel: []inngestgo.ConfigCancel{
			{Event: "order/cancelled", If: inngestgo.StrPtr("event.data.order == async.data.order")},
		}}
		onTriggers(s, bought, o, func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
			key := "stock:" + in.Event.Data.Order
			// move changes the state of the order, unless it has changed already.
			move := func(from, to string) error {
				return s.store.update(func(r record) error {
					switch r[key] {
					case from:
						r[key] = to
					case to, "sold": // by another attempt
					default:
						return inngestgo.NoRetryError(errors.New("the order is " + r[key]))
					}
					return nil
				})
			}
			if err := run(ctx, "reserve", func() error { return move("", "reserved") }); err != nil {
				return nil, err
			}
			return nil, run(ctx, "sell", func() error { return move("reserved", "sold") })
		})

		about := inngestgo.StrPtr("event.data.function_id == '" + appID + "-sell'")
		ends := inngestgo.MultipleTriggers{inngestgo.EventTrigger("inngest/function.failed", about)}
		if right {
			ends = append(ends, inngestgo.EventTrigger("inngest/function.cancelled", about))
		}
		onTriggers(s, ends, inngestgo.FunctionOpts{ID: "clean-up"}, func(ctx context.Context, in inngestgo.Input[cause[order]]) (any, error) {
			return nil, run(ctx, "release", func() error {
				return s.store.update(func(r record) error {
					if key := "stock:" + in.Event.Data.Event.Data.Order; r[key] != "sold" {
						r[key] = "closed"
					}
					return nil
				})
			})
		})
	}
}

// nothingStaysReserved says that each order that was reserved has been sold, or released.
func nothingStaysReserved(ctx context.Context, env harness.Env) error {
	all, err := stored(ctx, env)
	if err != nil {
		return err
	}
	var left []string
	for key, state := range all {
		if id, ok := strings.CutPrefix(key, "stock:"); ok && state == "reserved" {
			left = append(left, id)
		}
	}
	slices.Sort(left)
	if len(left) > 0 {
		return fmt.Errorf("stock stays reserved for order %s", strings.Join(left, ", "))
	}
	return nil
}
