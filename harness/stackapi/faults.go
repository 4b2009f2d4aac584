package stackapi

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// faults are the faults that the API has injected. The zero value has none.
type faults struct {
	mu  sync.Mutex
	all []*injected // the id of one is its place, counted from 1
}

// injected is one of them.
type injected struct {
	id        int
	fault     tap.Fault
	injection *tap.Injection
}

func (i *injected) view() Fault {
	return Fault{ID: strconv.Itoa(i.id), Fault: i.fault, Text: i.fault.String(), Applied: i.injection.Applied(), Armed: i.injection.Armed()}
}

// find returns a fault by its id.
func (f *faults) find(id string) (*injected, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range f.all {
		if strconv.Itoa(i.id) == id {
			return i, nil
		}
	}
	return nil, notFoundf("there is no fault %q: `harness fault --list`, or GET /faults, lists them", id)
}

func (s *Server) injectFault(_ context.Context, in body[tap.Fault]) (Fault, error) {
	taps := s.stack.Taps()
	if taps == nil {
		return Fault{}, unsupportedf("this stack has no taps, at which faults act: start it with `harness up`, without --taps=false")
	}
	injection, err := taps.Inject(in.Body)
	if err != nil {
		return Fault{}, invalidf("%w", err)
	}
	f := &s.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, &injected{len(f.all) + 1, in.Body, injection})
	return f.all[len(f.all)-1].view(), nil
}

func (s *Server) getFaults(context.Context, none) ([]Fault, error) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	views := []Fault{}
	for _, f := range s.faults.all {
		views = append(views, f.view())
	}
	return views, nil
}

func (s *Server) getFault(ctx context.Context, in faultQuery) (Fault, error) {
	f, err := s.faults.find(in.ID)
	if err != nil {
		return Fault{}, err
	}
	if in.Wait > 0 {
		select {
		case <-f.injection.Reached():
		case <-time.After(time.Duration(in.Wait)):
		case <-ctx.Done():
			return Fault{}, ctx.Err()
		}
	}
	return f.view(), nil
}

func (s *Server) releaseFault(_ context.Context, in oneFault) (Fault, error) {
	f, err := s.faults.find(in.ID)
	if err != nil {
		return Fault{}, err
	}
	f.injection.Release()
	return f.view(), nil
}

func (s *Server) dropFault(_ context.Context, in oneFault) (Fault, error) {
	f, err := s.faults.find(in.ID)
	if err != nil {
		return Fault{}, err
	}
	f.injection.Drop()
	return f.view(), nil
}
