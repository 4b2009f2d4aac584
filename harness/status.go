package harness

import "slices"

// A Status is the state of a run or of a step, in the words of Inngest's API.
type Status string

// The statuses of runs and steps.
const (
	StatusQueued    Status = "QUEUED"
	StatusRunning   Status = "RUNNING"
	StatusCompleted Status = "COMPLETED"
	StatusFailed    Status = "FAILED"
	StatusCancelled Status = "CANCELLED"
	// StatusSkipped is the status of a run that the server created and did not execute, such as one of a singleton
	// function that is running already.
	StatusSkipped Status = "SKIPPED"
)

// Statuses returns all statuses. The slice is the caller's.
func Statuses() []Status {
	return []Status{StatusQueued, StatusRunning, StatusCompleted, StatusFailed, StatusCancelled, StatusSkipped}
}

// Final reports whether a run or step with this status has ended.
func (s Status) Final() bool {
	return s == StatusCompleted || s == StatusFailed || s == StatusCancelled || s == StatusSkipped
}

func (s Status) known() bool { return slices.Contains(Statuses(), s) }
