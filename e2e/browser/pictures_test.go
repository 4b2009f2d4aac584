//go:build browser

package browser_test

import (
	"bytes"
	"context"
	"fmt"
	"image/color"
	"image/png"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

// scheme makes the browser prefer a colour scheme.
func scheme(name string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (v chromedp.Void, err error) {
		_, err = cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
		})
		return v, err
	}
}

func TestPages_FitTheirWindow(t *testing.T) {
	suite.RunAlone(t, nil, func(t *harnesstest.T) {
		d := newEnv(t, 1280, 900)
		for _, name := range []string{"corrective", "preventive-scheduled", "japanese", "urgent", "right-to-left"} {
			d.email(d.create(name))
		}
		ids, err := d.Stack.Send(d.Context(),
			harness.Event{Name: "maintenance/request.created", Data: map[string]any{"requestId": "nonsense"}},
			harness.Event{Name: "plant/audited", Data: map[string]any{"by": "Noor"}})
		require.NoError(d, err)
		d.deliver("unattributed@plant.test", "From: stranger@a.test\r\nTo: unattributed@plant.test\r\nSubject: An unattributed email\r\n\r\nHello.\r\n")
		d.openBoard()
		d.until(`['completed', 'failed', 'unsubscribed', 'mail'].map(state => [...rows.values()].filter(r => r.state === state).length).join() === '5,1,1,1'`)
		d.until(`order.some(r => r.state === 'completed')`)
		event := eval[string](d, `location.origin + '/event/' + order.find(r => r.state === 'completed').id`)

		for _, page := range []struct{ name, url string }{
			{"the board", d.url}, {"an event", event}, {"a failed event", d.url + "/event/" + ids[0]}, {"an event without a function", d.url + "/event/" + ids[1]},
		} {
			for _, width := range []int64{390, 820, 1440} {
				d.do(chromedp.EmulateViewport(width, 900), chromedp.Navigate(page.url))
				d.see("#rows li, #timeline")
				for _, s := range []string{"light", "dark"} {
					d.do(scheme(s))
					wide := eval[int](d, `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(document.documentElement.scrollWidth))))`)
					require.LessOrEqual(d, wide, int(width), "%s at %d pixels scrolls sideways", page.name, width)
					d.keep(fmt.Sprintf("Dashboard: %s, %d pixels wide, %s", page.name, width, s))
				}
			}
		}
	})
}

// keep keeps a picture of the page, where a report is wanted.
func (d *env) keep(name string) {
	d.Helper()
	if os.Getenv(report.Variable) == "" {
		return
	}
	page, err := chromedp.Run(d.tab, chromedp.CaptureScreenshot())
	require.NoError(d, err)
	d.Picture(name, page)
}

func TestEmail_IsDrawnAtBothWidthsAndInBothSchemes(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		d := newEnv(t, 1180, 1300)
		m := d.email(d.create("urgent"))
		d.do(chromedp.Navigate(d.url+"/mail/"+m.ID), chromedp.WaitVisible(chromedp.CSS(".mv iframe")))
		width := `document.querySelector('.mv iframe').getBoundingClientRect().width`
		wide := eval[float64](d, width)

		for _, at := range []string{"Desktop", "Phone"} {
			d.do(chromedp.Click(chromedp.Search(`//label[contains(.,"`+at+`")]`)), chromedp.Click(chromedp.Search(`//label[contains(.,"Light")]`)))
			light := d.drawnEmail(nil)
			d.do(chromedp.Click(chromedp.Search(`//label[contains(.,"Dark")]`)))
			dark := d.drawnEmail(light)
			d.Picture("The email as on a "+strings.ToLower(at)+", light", light)
			d.Picture("The email as on a "+strings.ToLower(at)+", dark", dark)
		}
		require.Greater(t, wide, 800.0)
		require.EqualValues(t, 390, eval[float64](d, width), "a phone is 390 pixels wide")
	})
}

// drawnEmail returns a picture of the email once it is drawn, and another than before.
func (d *env) drawnEmail(before []byte) []byte {
	d.Helper()
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); {
		eval[bool](d, `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
		drawn, err := chromedp.Run(d.tab, chromedp.Screenshot(chromedp.CSS(".mv iframe")))
		require.NoError(d, err)
		if !bytes.Equal(drawn, before) && !blank(d, drawn) {
			return drawn
		}
	}
	require.FailNow(d, "the email is not drawn, or does not follow the scheme")
	return nil
}

// blank says whether a picture shows next to nothing: a frame is empty for a moment before its document is drawn.
func blank(t require.TestingT, data []byte) bool {
	picture, err := png.Decode(bytes.NewReader(data))
	require.NoError(t, err)
	const few = 10 // the frame has a handle to resize it
	colours := map[color.Color]bool{}
	for y := range picture.Bounds().Dy() {
		for x := range picture.Bounds().Dx() {
			if colours[picture.At(x, y)] = true; len(colours) > few {
				return false
			}
		}
	}
	return true
}
