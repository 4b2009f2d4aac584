package attach_test

import (
	"testing"

	"github.com/odoo-maintenance/inngest-harness/harness/backendtest"
)

func TestMain(m *testing.M) { backendtest.Main(m) }
