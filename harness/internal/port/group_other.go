//go:build !linux

package port

// OfGroup returns the TCP ports on which the processes of a group listen. Only Linux tells.
func OfGroup(int) []int { return nil }
