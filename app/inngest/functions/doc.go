// Package functions holds the app's durable functions, one file each, and the registry that lists them.
//
// To add a function, write a file with a Function in it and add it to All; the package's example shows one. Two rules:
//
//   - The SDK ends a call with a panic of its own (ControlHijack). Code around steps must not call recover().
//   - The server saves what a step returns and shows it in traces. Keep it small and free of secrets.
package functions
