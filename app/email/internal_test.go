package email

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"math"
	"net"
	"net/mail"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
)

// Every text has sufficient contrast in light and dark mode: WCAG 2.2, 1.4.3 requires 4.5 to 1.
func TestContrast(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, kind := range []string{"corrective", "preventive", "other"} {
		for _, priority := range []string{"high", "normal", "low", "other"} {
			m, err := Render(Notification{
				To: mail.Address{Address: "kim@plant.test"}, RequestID: "r1", Subject: "Belt slips", Type: kind, Priority: priority,
				Equipment: "Conveyor belt 3", Description: strings.Repeat("The belt slips. ", 10_000), URL: "https://plant.test/r1",
			}, mail.Address{Address: "maintenance@plant.test"})
			require.NoError(t, err)
			doc, err := html.Parse(strings.NewReader(m.HTML))
			require.NoError(t, err)
			for _, dark := range []map[string]swatch{nil, darkRules(t, m.HTML)} {
				var walk func(*html.Node, swatch)
				walk = func(n *html.Node, s swatch) {
					if n.Data == "head" || strings.Contains(attribute(n, "style"), "display:none") {
						return
					}
					if n.Type == html.TextNode && strings.TrimSpace(n.Data) != "" {
						got := contrast(t, s)
						require.GreaterOrEqual(t, got, 4.5, "%q has %s on %s (dark: %v)", n.Data, s.Ink, s.Ground, dark != nil)
						checked++
					}
					s = restyle(s, inlineSwatch(attribute(n, "style")))
					for class := range strings.FieldsSeq(attribute(n, "class")) {
						s = restyle(s, dark[class])
					}
					for c := range n.ChildNodes() {
						walk(c, s)
					}
				}
				walk(doc, swatch{})
			}
		}
	}
	require.Greater(t, checked, 200)
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func restyle(s, by swatch) swatch {
	return swatch{Ink: cmp.Or(by.Ink, s.Ink), Ground: cmp.Or(by.Ground, s.Ground)}
}

func inlineSwatch(style string) (s swatch) {
	for declaration := range strings.SplitSeq(style, ";") {
		property, value, _ := strings.Cut(declaration, ":")
		value = strings.TrimSpace(strings.TrimSuffix(value, "!important"))
		switch strings.TrimSpace(property) {
		case "color":
			s.Ink = template.CSS(value)
		case "background":
			s.Ground = template.CSS(value)
		}
	}
	return s
}

var rule = regexp.MustCompile(`(?m)^  \.(\w+).* \{ (.*) \}$`)

// darkRules returns the colors of each class in dark mode from the style sheet.
func darkRules(t *testing.T, document string) map[string]swatch {
	t.Helper()
	_, sheet, found := strings.Cut(document, "@media (prefers-color-scheme: dark)")
	require.True(t, found)
	sheet, _, _ = strings.Cut(sheet, "</style>")
	rules := map[string]swatch{}
	for _, m := range rule.FindAllStringSubmatch(sheet, -1) {
		rules[m[1]] = inlineSwatch(m[2])
	}
	require.GreaterOrEqual(t, len(rules), 8)
	return rules
}

func contrast(t *testing.T, s swatch) float64 {
	t.Helper()
	luminance := func(colour string) float64 {
		require.Regexp(t, `^#[0-9a-f]{6}$`, colour)
		sum := 0.0
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			v, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
			require.NoError(t, err)
			c := float64(v) / 255
			if c <= 0.04045 {
				c /= 12.92
			} else {
				c = math.Pow((c+0.055)/1.055, 2.4)
			}
			sum += weight * c
		}
		return sum
	}
	a, b := luminance(string(s.Ink)), luminance(string(s.Ground))
	return (max(a, b) + 0.05) / (min(a, b) + 0.05)
}

func TestNewSMTP_Port465UsesImplicitTLS(t *testing.T) {
	t.Parallel()
	for port, want := range map[int]bool{465: true, 587: false, 25: false} {
		s, err := NewSMTP(SMTPOptions{Host: "mail.plant.test", Port: port})
		require.NoError(t, err)
		require.Equal(t, want, s.options.ImplicitTLS, port)
		require.Equal(t, "mail.plant.test", s.options.TLSConfig.ServerName)
	}
}

// elsewhere is a connection whose remote address is that of another machine.
type elsewhere struct{ net.Conn }

func (elsewhere) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 25} }

func TestAuth_SendsNoPasswordUnencryptedToAnotherMachine(t *testing.T) {
	t.Parallel()
	client, server := net.Pipe()
	received := make(chan string, 10)
	go func() {
		defer close(received)
		defer server.Close()
		fmt.Fprint(server, "220 mail\r\n")
		for buffer := make([]byte, 1024); ; {
			n, err := server.Read(buffer)
			if err != nil {
				return
			}
			received <- string(buffer[:n])
			fmt.Fprint(server, "250-mail\r\n250 AUTH PLAIN LOGIN\r\n")
		}
	}()

	// The host's name is that of this machine, but the address of the connection is not.
	s, err := NewSMTP(SMTPOptions{Host: "localhost", Port: 25, User: "kim", Pass: "hunter2"})
	require.NoError(t, err)
	d := &dialogue{SMTP: s, plain: elsewhere{client}, conn: elsewhere{client}, forget: func() bool { return true }}
	require.NoError(t, d.greeting(context.Background()))
	require.NoError(t, d.hello(context.Background()))
	require.EqualError(t, d.auth(context.Background()),
		"refusing to send the password: the server offers no encryption (STARTTLS) and is not on this machine")
	d.close()
	for line := range received {
		require.True(t, strings.HasPrefix(line, "EHLO "), line)
	}
}
