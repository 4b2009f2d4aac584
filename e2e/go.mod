module github.com/odoo-maintenance/inngest-harness/e2e

go 1.26.4

require (
	github.com/chromedp/cdproto v0.159.0 // indirect
	github.com/chromedp/chromedp v0.23.0 // indirect
	github.com/coder/websocket v1.8.15
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/google/go-cmp v0.7.0 // indirect
	github.com/odoo-maintenance/inngest-harness/app v0.1.0
	github.com/odoo-maintenance/inngest-harness/fixtures v0.1.0
	github.com/odoo-maintenance/inngest-harness/harness v0.1.0
	github.com/odoo-maintenance/inngest-harness/harness/containers v0.1.0
	github.com/stretchr/testify v1.12.1 // indirect
	go.mongodb.org/mongo-driver/v2 v2.10.0
	golang.org/x/mod v0.42.0 // indirect
	golang.org/x/net v0.62.0
)
