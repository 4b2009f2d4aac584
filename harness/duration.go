package harness

import "github.com/odoo-maintenance/inngest-harness/harness/internal/jsontime"

// Duration is a [time.Duration] that JSON has as a text such as "1.5s", "90m" or "3d".
type Duration = jsontime.Duration
