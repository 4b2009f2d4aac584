package tap_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// BenchmarkMail delivers one email on a connection of its own, as the app does: directly, which is the floor, and
// through the tap.
func BenchmarkMail(b *testing.B) {
	for _, size := range []int{4 << 10, 10 << 20} {
		text := []byte(message + "\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", size/78))
		run := func(b *testing.B, addr string) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				require.NoError(b, smtp.SendMail(addr, nil, "app@plant.test", []string{"kim@plant.test"}, text))
			}
		}
		b.Run(fmt.Sprintf("%dKiB/floor", size>>10), func(b *testing.B) {
			run(b, newMailServer(b).addr)
		})
		b.Run(fmt.Sprintf("%dKiB/tap", size>>10), func(b *testing.B) {
			_, w, _ := mailTap(b, tap.Options{})
			run(b, w.Addr())
		})
	}
}

// BenchmarkCall makes one call, as the Inngest server does: directly, which is the floor, and through the tap. The
// size is that of the saved steps that it carries.
func BenchmarkCall(b *testing.B) {
	for _, size := range []int{2 << 10, 1 << 20} {
		body := []byte(`{"ctx":{"attempt":0,"qi_id":"q","run_id":"01RUN","stack":{"current":1,"stack":["h"]}},"event":{"data":{},"id":"1","name":"a"},` +
			`"events":[{"data":{},"id":"1","name":"a"}],"steps":{"h":{"data":"` + strings.Repeat("x", size) + `"}}}`)
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, `[{"op":"StepRun","id":"i","name":"send","data":"`+strings.Repeat("x", 1<<10)+`"}]`)
		}))
		b.Cleanup(app.Close)
		run := func(b *testing.B, url string) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				resp, err := client.Post(url+"/api/inngest?fnId=plant-notify&stepId=step", "application/json", bytes.NewReader(body))
				require.NoError(b, err)
				_, err = io.Copy(io.Discard, resp.Body)
				require.NoError(b, err)
				_ = resp.Body.Close()
			}
		}
		b.Run(fmt.Sprintf("%dKiB/floor", size>>10), func(b *testing.B) { run(b, app.URL) })
		b.Run(fmt.Sprintf("%dKiB/tap", size>>10), func(b *testing.B) {
			w, err := newSet(b, tap.Options{}).Calls("127.0.0.1:0", app.URL)
			require.NoError(b, err)
			run(b, w.URL())
		})
	}
}
