package sdk

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strconv"
	"time"

	"github.com/gowebpki/jcs"
)

// Headers of requests and answers.
const (
	HeaderSDK            = "X-Inngest-Sdk"         // name and version of the SDK; every SDK sets it on every answer
	HeaderHandled        = "X-Inngest-Sdk-Handled" // the JavaScript SDK sets it on answers that the framework did not make
	HeaderNoRetry        = "X-Inngest-No-Retry"
	HeaderRetryAfter     = "Retry-After"
	HeaderRequestVersion = "X-Inngest-Req-Version"
	HeaderSignature      = "X-Inngest-Signature"
	HeaderEventIDSeed    = "X-Inngest-Event-Id-Seed"
	HeaderSyncKind       = "X-Inngest-Sync-Kind"
	HeaderServerKind     = "X-Inngest-Server-Kind"
	HeaderJobID          = "X-Inngest-Job-Id"
	HeaderRequestID      = "X-Request-Id"
	HeaderRunID          = "X-Run-Id"
)

// SyncInBand is the value of [HeaderSyncKind] for a registration in the answer to the server's PUT.
const SyncInBand = "in_band"

var keyPrefix = regexp.MustCompile(`^signkey-\w+-`)

// Sign returns the value of [HeaderSignature] for a body that is sent now. The app compares now with its own clock.
func Sign(key string, body []byte, now time.Time) string {
	if len(body) > 0 {
		if canonical, err := jcs.Transform(body); err == nil {
			body = canonical
		}
	}
	seconds := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(keyPrefix.ReplaceAllString(key, "")))
	mac.Write(body)
	mac.Write([]byte(seconds))
	return "t=" + seconds + "&s=" + hex.EncodeToString(mac.Sum(nil))
}
