package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/e2e/internal/review"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/rig"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// What a report of many emails is to keep to.
const (
	manyEmails   = 500
	mostWriting  = 5 * time.Second
	mostPage     = 25 << 20 // bytes
	reportWrites = 5
)

// benchReport measures how long the report of many emails takes, all of them changed, which is the most work: reading
// the records of the tests, and writing page, JUnit and summary. The emails are the app's own.
func benchReport(ctx context.Context) (_ []figure, err error) {
	dir, err := os.MkdirTemp("", "bench-report-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := recordMany(ctx, dir); err != nil {
		return nil, fmt.Errorf("record %d emails: %w", manyEmails, err)
	}
	var took []time.Duration
	for range reportWrites {
		began := time.Now()
		if _, err := report.Write(dir); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	page, err := os.Stat(filepath.Join(dir, report.PageFile))
	if err != nil {
		return nil, err
	}
	f := wanted(measured(fmt.Sprintf("the report of %d emails", manyEmails), took), mostWriting)
	f.Note += fmt.Sprintf("; %.1f MB, wanted: under %d", float64(page.Size())/(1<<20), mostPage>>20)
	if page.Size() >= mostPage {
		f.Note += missing
	}
	return []figure{f}, nil
}

// recordMany leaves the records of that many tests in dir, each with an email.
func recordMany(ctx context.Context, dir string) error {
	few, err := reviewed(ctx)
	if err != nil {
		return err
	}
	for i := range manyEmails {
		r := few[i%len(few)]
		r.Test = fmt.Sprintf("%s/%d", r.Test, i)
		if err := report.Save(dir, r); err != nil {
			return err
		}
	}
	return nil
}

// reviewed are the records of the typical requests' emails, as after a change of the template.
func reviewed(ctx context.Context) (few []report.Record, err error) {
	st, err := stack.Start(ctx, local.New(local.Options{}), stack.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close(context.WithoutCancel(ctx))) }()
	if err := st.RunHandler(ctx, rig.App); err != nil {
		return nil, err
	}
	env, _ := st.Env()
	if err := errors.Join(rig.SeedWorld(ctx, env.MongoURI, fixtures.World()), rig.SeedWorld(ctx, env.MongoURI, fixtures.HostileWorld())); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "bench-review-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	rep, err := review.Write(ctx, io.Discard, st, dir, "")
	if err != nil {
		return nil, err
	}
	for _, r := range rep.Records {
		if len(r.Goldens) == 0 {
			continue
		}
		before := &r.Goldens[0].Before
		before.Text, before.HTML = reworded(before.Text), reworded(before.HTML)
		few = append(few, r)
	}
	return few, nil
}

func reworded(s string) string { return strings.ReplaceAll(s, "assigned to you", "yours") }
