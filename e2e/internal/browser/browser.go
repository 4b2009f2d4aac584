// Package browser opens pages in headless Chromium.
//
//	tab, cancel, err := browser.Open(ctx, 1180, 900)
//	defer cancel()
//	err = chromedp.Run(tab, chromedp.Navigate(url), …)
//
// The program is chromium or google-chrome in PATH, or the one that CHROMIUM_BIN names.
package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/chromedp/chromedp"
)

// timeout bounds all that happens in one tab.
const timeout = 3 * time.Minute

// Open opens a tab of this size, in a browser of its own. cancel closes both.
func Open(ctx context.Context, width, height int) (tab context.Context, cancel func(), err error) {
	program, err := Find()
	if err != nil {
		return nil, nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program),
		chromedp.WindowSize(width, height),
		// It shows pages of this machine only: it needs neither a sandbox, which root cannot have, nor any of what a
		// browser asks the network for by itself.
		chromedp.NoSandbox,
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-quic", true),
		// What a page itself asks the internet for fails at once, whether there is a network or not.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"),
	)
	ctx, cancelTime := context.WithTimeout(ctx, timeout)
	ctx, cancelBrowser := chromedp.NewExecAllocator(ctx, options...)
	tab, cancelTab := chromedp.NewContext(ctx)
	return tab, func() { cancelTab(); cancelBrowser(); cancelTime() }, nil
}

// Find returns the program that Open starts; where there is none, an error that says what to install.
func Find() (string, error) {
	if program := os.Getenv("CHROMIUM_BIN"); program != "" {
		return program, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if program, err := exec.LookPath(name); err == nil {
			return program, nil
		}
	}
	return "", errors.New("no Chromium in PATH: install it (Debian: apt-get install chromium), or name it in CHROMIUM_BIN")
}

// Settled waits until the document in the frame that selector names has been loaded and drawn.
func Settled(selector string) chromedp.Action[bool] {
	const script = `new Promise(done => {
		const frame = document.querySelector(%q);
		const drawn = () => requestAnimationFrame(() => requestAnimationFrame(() => done(true)));
		const look = () => frame && frame.contentDocument && frame.contentDocument.body && frame.contentDocument.body.childElementCount
			? drawn() : requestAnimationFrame(look);
		look();
	})`
	return chromedp.Evaluate[bool](fmt.Sprintf(script, selector), chromedp.EvalAwaitPromise)
}
