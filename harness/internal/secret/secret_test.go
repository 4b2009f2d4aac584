package secret_test

import (
	"encoding/base64"
	"encoding/json"
	"log"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/secret"
)

func of(env []string, public ...string) *secret.Set { return secret.New(secret.Values(env, public...)) }

func TestValues_FindsSecretVariables(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{
		"MAIL_PASS": true, "MAIL_PASSWORD": true, "INNGEST_SIGNING_KEY": true, "INNGEST_SIGNING_KEY_FALLBACK": true, "GITHUB_TOKEN": true,
		"CLIENT_SECRET": true, "PASSWORD": true, "password": true, "ApiKey": true, "AWS_CREDENTIALS": true, "API_KEY_2": true,
		"GH_PAT": true, "MY_AUTH": true, "NPM_AUTH": true, "REDISCLI_AUTH": true, "DB_PWD": true, "MYSQL_PWD": true, "CLIENT_CREDS": true, "LDAP_CRED": true,
		"PIN": true, "PIN_CODE": true, "ADMIN_PASSCODE": true, "SENTRY_DSN": true, "PGPASSWORD": true, "authToken": true, "clientSecret": true,
		"JWT": true, "SESSION_COOKIE": true, "HASH_SALT": true, "PRIVATE_KEY_PEM": true, "APIKEY_B64": true, "DB_PASSWORDS": true,
		"OLDPWD": false, "SSH_AUTH_SOCK": false, "AUTH_TYPE": false, "PATH": false, "SHIPPING": false, "PATTERN": false, "SPIN": false, "CODE": false,
		"PWD": false, "MAIL_USER": false, "KEYBOARD": false, "TOKEN_TTL": false, "PASS_THROUGH": false, "MONKEY": false, "COMPASS": false,
	}
	for name, want := range tests {
		got := of([]string{name + "=correct-horse"}).Text("it is correct-horse.")
		require.Equal(t, want, got == "it is ***.", "%s: %s", name, got)
	}
}

func TestValues_FindsSecretsInValues(t *testing.T) {
	t.Parallel()
	const key, cert = "4f0c6a1e8a5b4dd3b4d2", "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nBAQEFAASCBKcwggSjAgEAAo\n-----END KEY-----\n"
	secrets := of([]string{
		"SENTRY_DSN=https://" + key + "@sentry.test/17", "REPO=https://ghp_0123456789abcdefghij@git.test/x", "ORIGIN=ssh://deploy@git.test/x",
		"DB_DSN=kim:go-sql-word@tcp(db.test)/plant", "CONNECTION=Server=db;User Id=kim;Password=ado-net-word;", "LIBPQ=host=db password='libpq-word' user=kim",
		"TLS_KEY=" + cert, "REPLICAS=mongodb://kim:set%20word@a.test:1,b.test:2/plant", "SMTP_AUTH=plain", "MODE=pass",
	})
	for text, want := range map[string]string{
		"the key is " + key:                         "the key is ***",
		"https://" + key + "@sentry.test/17":        "https://***@sentry.test/17",
		"https://sentry.test/17":                    "https://sentry.test/17",
		"token ghp_0123456789abcdefghij":            "token ***",
		"deploy ssh://deploy@git.test/x":            "deploy ssh://deploy@git.test/x",
		"dial kim:go-sql-word@tcp(db.test)/plant":   "dial ***",
		"ado-net-word, libpq-word":                  "***, ***",
		"with set word or set%20word":               "with *** or ***",
		"MIIEvQIBADANBgkqhkiG9w0":                   "***",
		"plain text by login":                       "plain text by login",
		"https://0123456789abcdef01234567@sentry.x": "https://***@sentry.x",
	} {
		require.Equal(t, want, secrets.Text(text))
	}
}

func TestSet_Text(t *testing.T) {
	t.Parallel()
	secrets := of([]string{
		`API_KEY=pa"ss & wörd`, "SHORT_PASS=abcd", "TINY_PASS=abc", "OTHER_TOKEN=abcdefgh", "LONGER_TOKEN=abcdefghijkl", "EVENT_KEY=harness",
		"MONGODB_URI=mongodb://kim:db%20secret@db.test/plant", "EMPTY_KEY=",
	}, "harness")
	tests := map[string]string{
		`plain pa"ss & wörd!`:                                     "plain ***!",
		`{"key":"pa\"ss \u0026 wörd"}`:                            `{"key":"***"}`,
		`{"key":"pa\"ss & wörd"}`:                                 `{"key":"***"}`,
		"?key=pa%22ss+%26+w%C3%B6rd":                              "?key=***",
		base64.StdEncoding.EncodeToString([]byte(`pa"ss & wörd`)): "***",
		"abcd, abcde, xabcd, 'abcd'":                              "***, abcde, xabcd, '***'",
		"abc is everywhere":                                       "abc is everywhere",
		"abcdefghijkl and abcdefgh":                               "*** and ***",
		"the harness":                                             "the harness",
		"db secret":                                               "***",
		"mongodb://kim:db%20secret@db.test/plant":                 "mongodb://***@db.test/plant",
		"smtps://any:body@mail.test:465 is a server":              "smtps://***@mail.test:465 is a server",
		"http://127.0.0.1:8080/a@b":                               "http://127.0.0.1:8080/a@b",
		"mongodb://127.0.0.1:27017/app":                           "mongodb://127.0.0.1:27017/app",
		"nothing at all":                                          "nothing at all",
	}
	for text, want := range tests {
		require.Equal(t, want, secrets.Text(text))
	}
	require.Equal(t, "x abcdefgh", (*secret.Set)(nil).Text("x abcdefgh"))
	require.Equal(t, "AUTH PLAIN ***", (*secret.Set)(nil).Text("AUTH PLAIN AGtpbQBzZWNyZXQ="))
}

func TestSet_LeavesOutLogins(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"C: AUTH PLAIN AGtpbQBzZWNyZXQ=":                                                                      "C: AUTH PLAIN ***",
		"auth login a2lt":                                                                                     "auth login ***",
		"250-AUTH PLAIN LOGIN\n250 OK\nMAIL FROM:<a@b.test>":                                                  "250-AUTH PLAIN LOGIN\n250 OK\nMAIL FROM:<a@b.test>",
		"250 AUTH=LOGIN PLAIN":                                                                                "250 AUTH=LOGIN PLAIN",
		"Received 30 bytes: 'AUTH PLAIN AGtpbQBzZWNyZXQ=\\r\\n'":                                              "Received 30 bytes: 'AUTH PLAIN ***\\r\\n'",
		"In state 4, got command 'AUTH', args 'PLAIN AGtpbQBzZWNy'":                                           "In state 4, got command 'AUTH', args 'PLAIN ***'",
		"Got PLAIN authentication: AGtpbQBzZWNyZXQ=":                                                          "Got PLAIN authentication: ***",
		"AUTH LOGIN\n334 VXNlcm5hbWU6\na2lt\n334 UGFzc3dvcmQ6\nc2VjcmV0\n235 done\nDATA":                      "AUTH LOGIN\n334 VXNlcm5hbWU6\n***\n334 UGFzc3dvcmQ6\n***\n235 done\nDATA",
		"Processing line: AUTH PLAIN AGtpbQBz\nIn state 6, got command 'AUTH', args 'PLAIN AGtpbQBz'\n235 ok": "Processing line: AUTH PLAIN ***\nIn state 6, got command '***', args '*** ***'\n235 ok",
		"Processing line: AUTH PLAIN\nReceived 9 bytes: 'AGtpbQBz\\r\\n'\nProcessing line: AGtpbQBz\nIn state 5, got command 'AGTPBQBZ', args ''\n235 ok\nProcessing line: MAIL": "Processing line: AUTH PLAIN\nReceived 9 bytes: '***\\r\\n'\nProcessing line: ***\nIn state 5, got command '***', args ''\n235 ok\nProcessing line: MAIL",
	}
	for text, want := range tests {
		require.Equal(t, want, (*secret.Set)(nil).Text(text))
		redact := (*secret.Set)(nil).Lines()
		var lines []string
		for line := range strings.SplitSeq(text, "\n") {
			lines = append(lines, redact(line))
		}
		require.Equal(t, want, strings.Join(lines, "\n"))
	}
}

func TestRedact_CopiesOnlyWhatHasSecrets(t *testing.T) {
	t.Parallel()
	type inner struct {
		Text   string
		hidden string
	}
	type outer struct {
		At     time.Time
		List   []*inner
		Raw    json.RawMessage
		Bytes  []byte
		Map    map[string]any
		Number int
		None   *inner
	}
	secrets := of([]string{"API_KEY=31415926535", "MAIL_PASS=correct-horse"})
	clean := &inner{Text: "clean"}
	before := &outer{
		At: time.Unix(1, 0), List: []*inner{clean, {"correct-horse", "correct-horse"}}, Raw: json.RawMessage(`{"n":31415926535}`),
		Bytes: []byte("correct-horse"), Map: map[string]any{"a": "correct-horse", "b": 1}, Number: 7,
	}
	after := secret.Redact(secrets, before)
	require.Equal(t, &outer{
		At: time.Unix(1, 0), List: []*inner{clean, {"***", "correct-horse"}}, Raw: json.RawMessage(`"{\"n\":***}"`),
		Bytes: []byte("***"), Map: map[string]any{"a": "***", "b": 1}, Number: 7,
	}, after)
	require.Equal(t, "correct-horse", before.List[1].Text, "the original is not changed")
	require.Same(t, clean, after.List[0])
	require.Equal(t, "correct-horse", after.List[1].hidden, "unexported fields stay")
	require.Same(t, after, secret.Redact(secrets, after), "without secrets nothing is copied")
	var none *outer
	require.Nil(t, secret.Redact(secrets, none))
}

func TestSet_WriterLeavesOutSecrets(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	log.New(secret.New([]string{"correct-horse-battery"}).Writer(&out), "", 0).Print("an answer with correct-horse-battery")
	require.Equal(t, "an answer with ***\n", out.String())
}

func TestSet_NothingIsNoSecret(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a *** text", secret.New([]string{"", "longsecret"}).Text("a longsecret text"))
}
