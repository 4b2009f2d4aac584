// Package workspace holds the tests that keep the rules of this repository which no compiler checks: who may import
// whom, that every package says what it is for, that versions agree wherever they are written, and that the documents
// tell the truth.
package workspace
