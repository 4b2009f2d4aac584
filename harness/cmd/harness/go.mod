module github.com/odoo-maintenance/inngest-harness/harness/cmd/harness

go 1.26.4

require (
	github.com/fsnotify/fsnotify v1.10.1
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/odoo-maintenance/inngest-harness/harness v0.1.0
	github.com/odoo-maintenance/inngest-harness/harness/containers v0.1.0
	github.com/rogpeppe/go-internal v1.16.0 // indirect
	github.com/spf13/cobra v1.10.2 // indirect
	github.com/spf13/pflag v1.0.9 // indirect
	github.com/stretchr/testify v1.12.1 // indirect
	golang.org/x/sys v0.28.0 // indirect
)
