package functions_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/inngest"
	"github.com/odoo-maintenance/inngest-harness/app/inngest/functions"
)

// CountRequests is a whole new function. It would be a file of its own in this package, and its line in All:
//
//	func All() []Function {
//		return []Function{
//			SendRequestNotification,
//			CountRequests,
//		}
//	}
func CountRequests(c inngestgo.Client, d functions.Deps) (inngestgo.ServableFunction, error) {
	return inngestgo.CreateFunction(c,
		inngestgo.FunctionOpts{ID: "count-requests", Name: "Count requests"},
		inngestgo.EventTrigger(app.EventRequestCreated, nil),
		func(ctx context.Context, in inngestgo.Input[app.RequestCreated]) (any, error) {
			defer d.Track()()
			return step.Run(ctx, "count", func(ctx context.Context) (int, error) {
				requests, err := d.Store.Requests(ctx, "", "", 1000)
				return len(requests), err
			})
		},
	)
}

// Adding a function: write it as CountRequests is written, and add its line to All.
func Example() {
	ctx := context.Background()
	client, handler, err := inngest.NewClient(ctx, inngest.Options{Dev: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	deps := functions.Deps{Logger: slog.New(slog.DiscardHandler)}
	if _, err := functions.Register(client, deps, append(functions.All(), CountRequests)...); err != nil {
		fmt.Println(err)
		return
	}

	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, inngest.Path, nil))
	body, _ := io.ReadAll(answer.Body)
	fmt.Println("two functions served:", strings.Contains(string(body), `"function_count":2`))
	// Output: two functions served: true
}
