package main

import (
	"context"

	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

// readStubs reads stubs from files. Its errors are about the command line.
func readStubs(ctx context.Context, std stdio, files []string) (all []sim.Stub, err error) {
	for _, file := range files {
		data, err := readFile(ctx, std, file)
		if err != nil {
			return nil, exitError{exitUsage, err}
		}
		stubs, err := sim.ParseStubs(data)
		if err != nil {
			return nil, usagef("%s: %w; see `harness replace --help`", named(file), err)
		}
		all = append(all, stubs...)
	}
	return all, nil
}
