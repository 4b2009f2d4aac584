package explore_test

import (
	"testing"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/explore/internal/planted"
)

func TestPlanted_MailServerIsKilledBetweenTwoEmails(t *testing.T) {
	_, right := programs(t)
	a, _ := planted.Named("two-emails-in-one-step")
	o := plantedOptions(a)
	o.Services = []harness.Service{harness.ServiceMailHog}
	requireRight(t, right(a.Name), o, 0)
}
