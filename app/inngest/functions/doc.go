// Package functions holds the app's durable functions, one file each, and the registry that names them.
//
// To add a function, write a file with a Function in it and add its line to All; the example of this package shows
// one. Two rules keep functions sound:
//
//   - A step ends a pass by a panic of the SDK's own (a ControlHijack). No code around steps may recover().
//   - What a step returns is saved on the server and shown in traces: keep it small, and free of secrets.
package functions
