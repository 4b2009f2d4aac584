module github.com/odoo-maintenance/inngest-harness/docs

go 1.26.4
