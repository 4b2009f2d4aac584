package sdk

// InternalEvents is the prefix of the names of events that the server sends by itself.
const InternalEvents = "inngest/"

// The events that the server sends by itself: because of a run, and for a schedule.
const (
	EventFunctionInvoked   = "inngest/function.invoked"
	EventFunctionFailed    = "inngest/function.failed"
	EventFunctionCancelled = "inngest/function.cancelled"
	EventFunctionFinished  = "inngest/function.finished"
	EventScheduled         = "inngest/scheduled.timer"
	EventDeferred          = "inngest/deferred.schedule"
)
