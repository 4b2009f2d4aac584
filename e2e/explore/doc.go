// Package explore lets every fault happen at every hop of the notification app's function: see package explore of the harness.
package explore
