package planted

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// A function's body is executed again for each retry; only what a step returned is the same then.
var randomOutsideStep = App{
	Name:      "random-outside-step",
	Defect:    "the code of a voucher is made outside a step, so a retry emails another code than the one that was stored",
	Broken:    serveCheckpointed(voucher(false)),
	Right:     serveCheckpointed(voucher(true)),
	Send:      []harness.Event{placed},
	Invariant: vouchersAreValid,
	Expect: harness.Expectation{
		Runs:        []harness.RunExpectation{ended("give-voucher", completed)},
		Mail:        []harness.MailExpectation{{To: kim, Subject: harness.Matches(`^Your voucher \w+$`)}},
		NoOtherRuns: true, NoOtherMail: true,
	},
}

func voucher(right bool) func(*shop) {
	return func(s *shop) {
		on(s, "order/placed", "give-voucher", func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
			o := in.Event.Data
			code := rand.Text()
			issued, err := step.Run(ctx, "issue", func(context.Context) (string, error) {
				var issued string
				err := s.store.update(func(r record) error {
					if !right || r["issued:"+o.Order] == "" {
						r["issued:"+o.Order] = code
					}
					issued = r["issued:"+o.Order]
					return nil
				})
				return issued, err
			})
			if err != nil {
				return nil, err
			}
			if right {
				code = issued
			}
			return nil, run(ctx, "send", func() error {
				return s.once("voucher-"+o.Order, func() error {
					err := s.send(mail{run: in.InputCtx.RunID, to: o.To, subject: "Your voucher " + code, id: "voucher-" + o.Order})
					if err != nil {
						return err
					}
					return s.store.put("sent:"+o.Order, code)
				})
			})
		})
	}
}

// vouchersAreValid says that each code that was sent is the one that was stored.
func vouchersAreValid(ctx context.Context, env harness.Env) error {
	all, err := stored(ctx, env)
	if err != nil {
		return err
	}
	var errs []error
	for key, code := range all {
		if id, ok := strings.CutPrefix(key, "sent:"); ok && all["issued:"+id] != code {
			errs = append(errs, fmt.Errorf("the customer of order %s has the voucher %s, which is not valid", id, code))
		}
	}
	return errors.Join(errs...)
}
