module github.com/odoo-maintenance/inngest-harness/harness

go 1.26.4
