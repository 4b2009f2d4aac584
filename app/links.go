package app

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
)

// Links makes and verifies the links to request pages in emails. A signed link opens the page of one request and needs
// no other credential. The zero value makes unsigned links and accepts no signature.
type Links struct {
	base string
	key  []byte
}

// NewLinks returns Links below base, an absolute URL. It signs with linkKey, or, if that is empty, with a key derived
// from apiToken. If both are empty, links are not signed.
func NewLinks(base *url.URL, linkKey, apiToken string) (Links, error) {
	l := Links{base: base.String()}
	switch {
	case linkKey != "":
		l.key = []byte(linkKey)
	case apiToken != "":
		key, err := hkdf.Key(sha256.New, []byte(apiToken), nil, "maintenance request page links", sha256.Size)
		if err != nil {
			return Links{}, fmt.Errorf("derive the key of page links: %w", err)
		}
		l.key = key
	}
	return l, nil
}

// Page returns the link to the page of a request.
func (l Links) Page(requestID string) string {
	link := l.base + "/requests/" + url.PathEscape(requestID)
	if l.key == nil {
		return link
	}
	return link + "?sig=" + l.sign(requestID)
}

// Valid reports whether sig is the signature of the link to that request. It compares in constant time.
func (l Links) Valid(requestID, sig string) bool {
	return l.key != nil && hmac.Equal([]byte(sig), []byte(l.sign(requestID)))
}

func (l Links) sign(requestID string) string {
	mac := hmac.New(sha256.New, l.key)
	mac.Write([]byte("request page " + requestID))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
