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

// burstFault is a fault that one request of a burst meets, and what is promised then.
type burstFault struct {
	fault   tap.Fault
	promise promise
}

var burstFaults = []burstFault{
	{tap.Fault{At: tap.AtRCPT, Do: tap.Reply, Code: 451, Text: "Busy"}, sent()},
	{tap.Fault{At: tap.AtRCPT, Do: tap.Reply, Code: 450, Text: "Busy", Times: 2}, sent()},
	{tap.Fault{At: tap.AtRCPT, Do: tap.Drop}, sent()},
	{tap.Fault{At: tap.AtDATA, Do: tap.Reply, Code: 421, Text: "Going down"}, sent()},
	{tap.Fault{At: tap.AtBody, Do: tap.Drop, Bytes: 500}, sent()},
	{tap.Fault{At: tap.AtDot, Do: tap.Drop}, sent()},
	{tap.Fault{At: tap.AtDot, Do: tap.Reply, Code: 452, Text: "Full"}, sent()},
	{tap.Fault{At: tap.AtDot, Do: tap.DropAnswer}, sentTwice()},
	// Always, since a busy database may not store the refusal in time, and the delivery is then tried again.
	{tap.Fault{At: tap.AtRCPT, Do: tap.Reply, Code: 550, Text: "No such user here", Times: -1}, failed("550 No such user here")},
}

// creators is how many requests are posted at once.
const creators = 8

var burstRows = []row{
	{fault: fmt.Sprintf("burst of %d requests, 10 %% meet a random SMTP fault", burstSize()), promise: sent(), happen: func(e *env) {
		seed := uint64(number("FAULTS_SEED", 1))
		e.Logf("FAULTS_SEED=%d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		drafts := make([]draft, burstSize())
		for i := range drafts {
			drafts[i] = e.draft()
		}
		// Each kind of fault in turn, so that none is left out by chance; the requests are random.
		for k, i := range random.Perm(len(drafts))[:len(drafts)/10] {
			m := burstFaults[k%len(burstFaults)]
			m.fault.To = drafts[i].to
			e.inject(m.fault)
			drafts[i].promise = &m.promise
		}
		e.createAll(drafts)
		e.waitAllSettled(patience + time.Duration(len(drafts))*time.Second/2) // at least two a second
	}, promised: "sent, one copy; after a lost answer two; after a 550 failed"},
}

// burstSize is the number of requests in the burst.
func burstSize() int { return number("FAULTS_BURST", 100) }

// number reads a variable, or the default where it is not set.
func number(variable string, byDefault int) int {
	n, err := strconv.Atoi(cmp.Or(os.Getenv(variable), strconv.Itoa(byDefault)))
	if err != nil || n < 1 {
		panic(fmt.Sprintf("%s must be a positive number", variable)) // before any test runs
	}
	return n
}

// createAll posts requests concurrently.
func (e *env) createAll(drafts []draft) {
	e.Helper()
	e.requests = make([]accepted, len(drafts))
	errs := make(chan error, len(drafts))
	next := make(chan int)
	var posting sync.WaitGroup
	for range creators {
		posting.Go(func() {
			for i := range next {
				status, body, err := e.tryPost(drafts[i].body)
				if err == nil && status != http.StatusCreated {
					err = fmt.Errorf("the API answered %d: %s", status, body)
				}
				e.requests[i].draft = drafts[i]
				if err == nil {
					err = json.Unmarshal(body, &e.requests[i].request)
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
		require.NoError(e, err)
	}
}

// waitAllSettled waits until all requests are sent or failed. It first counts the final calls on the wire, since reading
// all requests from the database again and again would slow the app down, and then reads them.
func (e *env) waitAllSettled(limit time.Duration) {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), limit)
	defer cancel()
	err := e.observer.await(ctx, func() bool { return e.observer.final >= len(e.requests) })
	if !errors.Is(err, context.DeadlineExceeded) { // then the database says which are open
		require.NoError(e, err)
	}
	e.eventually(patience, time.Second, e.refresh)
}
