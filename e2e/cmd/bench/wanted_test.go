package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAFigureThatIsNotWhatIsWantedIsNamed(t *testing.T) {
	t.Parallel()
	kept := wanted(figure{Name: "a start", Median: 999}, time.Second)
	late := wanted(figure{Name: "an email", Median: 1000}, time.Second)
	require.Equal(t, "wanted: under 1000 ms", kept.Note)
	require.Equal(t, "wanted: under 1000 ms, and it is NOT", late.Note)
	late.Note += "; 3.0 MB"
	require.NoError(t, missed([]figure{kept, {Name: "a floor", Median: 5000}}))
	require.EqualError(t, missed([]figure{kept, late}), "not what is wanted: an email; with other work on this machine, measure again when it is idle")
}
