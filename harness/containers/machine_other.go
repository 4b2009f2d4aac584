//go:build !linux

package containers

func bootID() string       { return "" }
func pidNamespace() string { return "" }
