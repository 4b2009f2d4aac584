// Package service assembles the app from its configuration: an HTTP handler, and the dispatcher in the background.
//
// The program in cmd/app only calls Command. A test runs the whole app in its own process:
//
//	app, err := service.New(ctx, cfg, service.Deps{})
//	...
//	server := httptest.NewServer(app.Handler())
//	...
//	server.Close()
//	err = app.Close(ctx)
package service
