package main

import "errors"

// interrupt cannot reach a process in another console.
func interrupt(int) error { return errors.ErrUnsupported }
