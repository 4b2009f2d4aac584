package accessibility

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// begin stands for what must hold before the first Tab: nothing moves, no caret blinks, and the focus is before the first
// control. An adopted style sheet is one that a page's content policy does not refuse.
const begin = `(() => {
	const still = new CSSStyleSheet();
	still.replaceSync('*, ::before, ::after { animation: none !important; transition: none !important; caret-color: transparent !important; scroll-behavior: auto !important; }');
	document.adoptedStyleSheets = [...document.adoptedStyleSheets, still];
	window.tabStops = new Set();
	document.activeElement?.blur();
	return true;
})()`

// controls are the elements that a person must be able to use: within a modal dialog, while there is one. A radio button stands
// for its group.
const controls = `(() => {
	const modal = document.querySelector('dialog:modal') || document;
	const native = 'a[href], button, input, select, textarea, details > summary:first-of-type';
	const groups = new Map(); // the names of each form's groups
	return [...modal.querySelectorAll(native + ', [tabindex]')].filter(e => {
		if (e.disabled || e.closest('[inert]') || !e.checkVisibility({visibilityProperty: true})) return false;
		if (!e.matches(native) && e.tabIndex < 0) return false;
		if (e.type !== 'radio') return true;
		const names = groups.get(e.form) || new Set();
		groups.set(e.form, names);
		return !names.has(e.name) && names.add(e.name);
	});
})()`

// unreached are the controls that have not had the focus.
const unreached = controls + `.filter(e => e.type === 'radio'
	? ![...tabStops].some(s => s.type === 'radio' && s.form === e.form && s.name === e.name)
	: !tabStops.has(e)).map(e => e.outerHTML.slice(0, 200))`

// stop is an element that has got the focus.
type stop struct {
	HTML  string
	Known bool // it had it before
	// Foreign says that the focus is in no element of this document: at its end, or in a frame.
	Foreign bool
	// Width and Height are those of the part of it that is within the window, in pixels. Around is that part with its
	// surroundings, where an outline may be, on the page.
	Width, Height float64
	Around        page.Viewport
}

const current = `(() => {
	const e = document.activeElement;
	if (!e || e === document.body || e === document.documentElement || e.matches('iframe')) return {foreign: true};
	const known = tabStops.has(e);
	tabStops.add(e);
	window.tabStop = e;
	const r = e.getBoundingClientRect();
	const within = by => {
		const x = Math.max(0, Math.floor(r.left - by)), y = Math.max(0, Math.floor(r.top - by));
		return {x, y, width: Math.min(innerWidth, Math.ceil(r.right + by)) - x, height: Math.min(innerHeight, Math.ceil(r.bottom + by)) - y};
	};
	const {width, height} = within(0), around = within(6);
	return {html: e.outerHTML.slice(0, 200), known, width, height, around: {...around, x: around.x + scrollX, y: around.y + scrollY, scale: 1}};
})()`

// Keyboard presses Tab until each control of the page in the tab has had the focus. It returns the controls that did not get
// it, and those that do not show it.
func Keyboard(tab context.Context) ([]Finding, error) {
	if _, err := evaluate[bool](tab, begin); err != nil {
		return nil, err
	}
	n, err := evaluate[int](tab, controls+`.length`)
	if err != nil {
		return nil, err
	}
	// Tab also stops in frames, and at what scrolls.
	const further = 100
	// A busy machine may draw later than it says.
	const looks = 3
	var unseen, missed []string
	for range n + further {
		if missed, err = evaluate[[]string](tab, unreached); err != nil {
			return nil, err
		}
		if len(missed) == 0 {
			break
		}
		if err := chromedp.Do(tab, chromedp.KeyEvent(kb.Tab)); err != nil {
			return nil, err
		}
		s, err := evaluate[stop](tab, current)
		if err != nil {
			return nil, err
		}
		if s.Foreign || s.Known {
			continue
		}
		seen := false
		for range looks {
			if seen, err = s.showsFocus(tab); err != nil {
				return nil, err
			} else if seen {
				break
			}
		}
		if !seen {
			unseen = append(unseen, s.HTML)
		}
	}
	var findings []Finding
	if len(missed) > 0 {
		findings = append(findings, Finding{"keyboard", "critical", "Tab does not reach the control", missed})
	}
	if len(unseen) > 0 {
		findings = append(findings, Finding{"keyboard", "serious", "the control does not show that it has the focus", unseen})
	}
	return findings, nil
}

// showsFocus compares pictures of the element with the focus, without it, and with it again. What differs between the first two
// and does not in the third is what shows the focus, and not something that moves by itself. As WCAG 2.2 has it, it must contrast
// by 3 to 1 and be large enough: at least as many pixels as a line of one pixel around half of the element has.
func (s stop) showsFocus(tab context.Context) (bool, error) {
	if s.Width <= 0 || s.Height <= 0 {
		return false, nil
	}
	var pictures [3]image.Image
	for i, before := range []string{`true`, `tabStop.blur(); true`, `tabStop.focus({preventScroll: true}); true`} {
		if _, err := evaluate[bool](tab, before); err != nil {
			return false, err
		}
		var err error
		if pictures[i], err = s.picture(tab); err != nil {
			return false, err
		}
	}
	with, without, again := pictures[0], pictures[1], pictures[2]
	differ := 0
	for y := range with.Bounds().Dy() {
		for x := range with.Bounds().Dx() {
			if a := with.At(x, y); a == again.At(x, y) && contrast(a, without.At(x, y)) >= 3 {
				differ++
			}
		}
	}
	return differ >= int(s.Width+s.Height), nil
}

// contrast is the contrast ratio of two colours, by WCAG's definition.
func contrast(a, b color.Color) float64 {
	la, lb := luminance(a), luminance(b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(c color.Color) float64 {
	r, g, b, _ := c.RGBA()
	linear := func(v uint32) float64 {
		if s := float64(v) / 0xffff; s > 0.04045 {
			return math.Pow((s+0.055)/1.055, 2.4)
		} else {
			return s / 12.92
		}
	}
	return 0.2126*linear(r) + 0.7152*linear(g) + 0.0722*linear(b)
}

// picture is the element with its surroundings, once the last change is drawn.
func (s stop) picture(tab context.Context) (image.Image, error) {
	if _, err := evaluate[bool](tab, `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`); err != nil {
		return nil, err
	}
	drawn, err := chromedp.Run(tab, chromedp.Action[page.CaptureScreenshotResult](func(ctx context.Context, t *chromedp.Target) (page.CaptureScreenshotResult, error) {
		return cdp.Call(ctx, t, page.CaptureScreenshot, page.CaptureScreenshotParams{Clip: &s.Around})
	}))
	if err != nil {
		return nil, err
	}
	return png.Decode(bytes.NewReader(drawn.Data))
}

func evaluate[V any](tab context.Context, script string) (V, error) {
	v, err := chromedp.Run(tab, chromedp.Evaluate[V](script, chromedp.EvalAwaitPromise))
	if err != nil {
		return v, fmt.Errorf("evaluate in the page: %w", err)
	}
	return v, nil
}
