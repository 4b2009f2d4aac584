// Package service wires the app together: configuration in, HTTP handler out, with the dispatcher at work in the
// background.
//
// A program calls Command, which is all that cmd/app does. A test runs the whole app in its own process:
//
//	app, err := service.New(ctx, cfg, service.Deps{})
//	...
//	server := httptest.NewServer(app.Handler())
//	...
//	server.Close()
//	err = app.Close(ctx)
package service
