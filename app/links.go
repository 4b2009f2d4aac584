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
	keys [][]byte // the first one signs
}

// NewLinks returns Links below base, an absolute URL. It signs with linkKey, or, if that is empty, with a key derived from
// the first API token. Signatures of the others are valid, too. Empty tokens are ignored; if all are empty, and linkKey,
// links are not signed.
func NewLinks(base *url.URL, linkKey string, apiTokens ...string) (Links, error) {
	l := Links{base: base.String()}
	if linkKey != "" {
		l.keys = append(l.keys, []byte(linkKey))
	}
	for _, token := range apiTokens {
		if token == "" {
			continue
		}
		key, err := hkdf.Key(sha256.New, []byte(token), nil, "maintenance request page links", sha256.Size)
		if err != nil {
			return Links{}, fmt.Errorf("derive the key of page links: %w", err)
		}
		l.keys = append(l.keys, key)
	}
	return l, nil
}

// Page returns the link to the page of a request.
func (l Links) Page(requestID string) string {
	link := l.base + "/requests/" + url.PathEscape(requestID)
	if len(l.keys) == 0 {
		return link
	}
	return link + "?sig=" + sign(l.keys[0], requestID)
}

// Valid reports whether sig is the signature of the link to that request. It compares in constant time.
func (l Links) Valid(requestID, sig string) bool {
	valid := false
	for _, key := range l.keys {
		valid = hmac.Equal([]byte(sig), []byte(sign(key, requestID))) || valid
	}
	return valid
}

func sign(key []byte, requestID string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("request page " + requestID))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
