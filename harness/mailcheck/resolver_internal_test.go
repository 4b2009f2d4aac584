package mailcheck

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestResolver_AsksOnlyTheAppAndThisMachine(t *testing.T) {
	t.Parallel()
	r := NewResolver("http://App.test:3000/ui")
	for link, may := range map[string]bool{
		"http://app.test:3000/requests/7":  true,
		"http://127.0.0.1:8025/":           true,
		"http://[::1]:3000/":               true,
		"https://localhost/":               true,
		"https://app.test:3000/requests/7": false, // another origin
		"http://app.test/requests/7":       false,
		"http://app.test:3000@evil.test/":  false,
		"http://127.0.0.1.evil.test/":      false,
		"http://169.254.169.254/latest":    false,
		"http://evil.test/?http://[::1]":   false,
	} {
		u, err := url.Parse(link)
		require.NoError(t, err)
		require.Equal(t, may, r.mayAsk(u), link)
	}
	u, err := url.Parse("http://evil.test/")
	require.NoError(t, err)
	require.False(t, NewResolver("").mayAsk(u))
}
