package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMemoryIsReadFromPS(t *testing.T) {
	t.Parallel()
	ps := "   17  1000 ps\n   17  1024 /bin/sh\n   17 11264 /cache/MailHog\n    1  4000 init\n   17 128000 inngest\n\n"
	require.Equal(t, []program{{"mailhog", 11264}, {"inngest", 128000}}, childrenOf("17", ps))
	require.Equal(t, []program{{"ferretdb", 30720}}, programs("4711 30720 ferretdb\n"))
}
