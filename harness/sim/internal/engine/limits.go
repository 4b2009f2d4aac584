package engine

import "fmt"

// limit is how much one run may have: so many steps, and so many bytes of results.
type limit struct{ steps, bytes int }

// limits are those that were set for functions, by UUID.
type limits map[string]limit

func (l limits) of(function string) limit {
	if set, ok := l[function]; ok {
		return set
	}
	return limit{maxSteps, maxStateSize}
}

// LimitSteps sets how many steps a run of a function may have; 0 takes a limit that was set away.
func (e *Engine) LimitSteps(function string, most int) {
	e.limit(function, func(l *limit) { l.steps = orDefault(most, maxSteps) })
}

// LimitState sets how many bytes the results of a run's steps may have; 0 takes a limit that was set away.
func (e *Engine) LimitState(function string, most int) {
	e.limit(function, func(l *limit) { l.bytes = orDefault(most, maxStateSize) })
}

func orDefault(most, standard int) int {
	if most == 0 {
		return standard
	}
	return most
}

func (e *Engine) limit(function string, set func(*limit)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.m.limits.of(function)
	set(&l)
	e.m.limits[function] = l
}

func tooManySteps(most int) *Error {
	failed := newError("InngestErrFunctionOverflowed", fmt.Sprintf("The function run exceeded the step limit of %d steps.", most))
	failed.Reason = "function has too many steps"
	return failed
}

func tooMuchState(most int) *Error {
	failed := newError("InngestErrStateOverflowed", fmt.Sprintf("The function run exceeded the state size limit of %d bytes.", most))
	failed.Reason = failed.Name + ": " + failed.Message
	return failed
}
