//go:build mailpit

package inbox_test

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/servertest"
)

// With the tag mailpit, the same on a real Mailpit: MAILPIT_BIN names the program, which `go install
// github.com/axllent/mailpit` builds.
func TestMailbox_RealMailpit(t *testing.T) {
	program := os.Getenv("MAILPIT_BIN")
	require.NotEmpty(t, program, "set MAILPIT_BIN to a Mailpit: CGO_ENABLED=0 go install "+
		"github.com/axllent/mailpit@v1.33.1 builds one")
	var addresses []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		addresses = append(addresses, l.Addr().String())
		require.NoError(t, l.Close())
	}
	cmd := exec.Command(program, "-l", addresses[0], "-s", addresses[1], "--database", filepath.Join(t.TempDir(), "db"))
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	url := "http://" + addresses[0]
	require.Eventually(t, func() bool {
		res, err := http.Get(url + "/readyz")
		if err == nil {
			res.Body.Close()
		}
		return err == nil && res.StatusCode == 200
	}, 30*time.Second, 20*time.Millisecond)
	s := newSender(t, &servertest.Server{SMTP: addresses[1]})
	testMailbox(t, mailbox{url: url, readOnly: true, deliver: s.deliver, unseen: func() bool {
		res, err := http.Get(url + "/api/v1/messages")
		require.NoError(t, err)
		defer res.Body.Close()
		var body bytes.Buffer
		_, err = body.ReadFrom(res.Body)
		require.NoError(t, err)
		return bytes.Contains(body.Bytes(), []byte(`"unread":3`))
	}})
}
