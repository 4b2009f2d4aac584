package secret

import "testing"

// The quick look must not pass over what the regular expression finds.
func FuzzMayBeCredentials(f *testing.F) {
	for _, text := range []string{
		"mongodb://kim:word@db.test/plant", "://://a://b:c@d", "x://\\:\\@", "https://0123456789abcdef0123@a", "a://b c@d", "a://[::1]:80/@",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if credentials.MatchString(text) && !mayBeCredentials(text) {
			t.Errorf("%q has credentials", text)
		}
	})
}
