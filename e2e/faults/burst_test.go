package faults_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// mishap is a fault that one request of a burst meets, and what is promised nonetheless.
type mishap struct {
	fault   tap.Fault
	promise promise
}

var mishaps = []mishap{
	{tap.Fault{At: tap.AtRCPT, Do: tap.Reply, Code: 451, Text: "Busy"}, sent()},
	{tap.Fault{At: tap.AtRCPT, Do: tap.Reply, Code: 450, Text: "Busy", Times: 2}, sent()},
	{tap.Fault{At: tap.AtRCPT, Do: tap.Drop}, sent()},
	{tap.Fault{At: tap.AtDATA, Do: tap.Reply, Code: 421, Text: "Going down"}, sent()},
	{tap.Fault{At: tap.AtBody, Do: tap.Drop, Bytes: 500}, sent()},
	{tap.Fault{At: tap.AtDot, Do: tap.Drop}, sent()},
	{tap.Fault{At: tap.AtDot, Do: tap.Reply, Code: 452, Text: "Full"}, sent()},
	{tap.Fault{At: tap.AtDot, Do: tap.DropAnswer}, sentTwice()},
	// As often as it is tried: where a busy database does not take the record of the refusal in time, it is tried again.
	{tap.Fault{At: tap.AtRCPT, Do: tap.Reply, Code: 550, Text: "Nobody here", Times: -1}, failed("550 Nobody here")},
}

// creators is how many requests are posted at once.
const creators = 8

var burstRows = []row{
	{fault: fmt.Sprintf("burst of %d requests, 10 %% meet a random SMTP fault", burstSize()), promise: sent(), happen: func(s *scene) {
		seed := uint64(number("FAULTS_SEED", 1))
		s.Logf("FAULTS_SEED=%d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		drafts := make([]draft, burstSize())
		for i := range drafts {
			drafts[i] = s.draft()
		}
		// Every kind of mishap in turn, so that none is left out by chance; whom they meet is random.
		for k, i := range random.Perm(len(drafts))[:len(drafts)/10] {
			m := mishaps[k%len(mishaps)]
			m.fault.To = drafts[i].to
			s.inject(m.fault)
			drafts[i].promise = &m.promise
		}
		s.createAll(drafts)
		s.settleAll(patience + time.Duration(len(drafts))*time.Second/2) // at the least two a second
	}, promised: "sent, one copy; after a lost answer two; after a 550 failed"},
}

// burstSize is the number of requests in the burst.
func burstSize() int { return number("FAULTS_BURST", 100) }

// number reads a variable, or the default where it is not set.
func number(variable string, byDefault int) int {
	n, err := strconv.Atoi(cmp.Or(os.Getenv(variable), strconv.Itoa(byDefault)))
	if err != nil || n < 1 {
		panic(fmt.Sprintf("%s must be a positive number", variable)) // at the start, before any test
	}
	return n
}

// createAll posts requests side by side, as many people would.
func (s *scene) createAll(drafts []draft) {
	s.Helper()
	s.requests = make([]accepted, len(drafts))
	errs := make(chan error, len(drafts))
	next := make(chan int)
	var posting sync.WaitGroup
	for range creators {
		posting.Go(func() {
			for i := range next {
				status, body, err := s.tryPost(drafts[i].body)
				if err == nil && status != http.StatusCreated {
					err = fmt.Errorf("the API answered %d: %s", status, body)
				}
				s.requests[i].draft = drafts[i]
				if err == nil {
					err = json.Unmarshal(body, &s.requests[i].request)
				}
				if err != nil {
					errs <- err
				}
			}
		})
	}
	for i := range drafts {
		next <- i
	}
	close(next)
	posting.Wait()
	close(errs)
	for err := range errs {
		require.NoError(s, err)
	}
}

// settleAll waits until all requests have come to their end: by what crosses the wires, since asking the database for
// all of them again and again would slow it down, and then by the database.
func (s *scene) settleAll(limit time.Duration) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), limit)
	defer cancel()
	err := s.witness.await(ctx, func() bool { return s.witness.final >= len(s.requests) })
	if !errors.Is(err, context.DeadlineExceeded) { // then the database tells how far they are
		require.NoError(s, err)
	}
	s.eventually(patience, time.Second, s.refresh)
}
