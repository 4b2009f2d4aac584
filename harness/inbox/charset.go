package inbox

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	htmlcharset "golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// toUTF8 decodes text in the charset with this label, as far as it can be, and says what is wrong with it in words that
// follow "the part" or "the header". Text without a label, or in ASCII, is taken for UTF-8, and if it cannot be that, as
// browsers take it: by a byte order mark or <meta charset>, else as Windows-1252.
func toUTF8(label string, b []byte) (decoded []byte, problem string) {
	label = strings.ToLower(strings.Trim(label, ` "'`))
	enc := encodingOf(label)
	valid := utf8.Valid(b)
	switch {
	case isASCII(label) && valid:
		if label != "" && bytes.ContainsFunc(b, func(r rune) bool { return r >= utf8.RuneSelf }) {
			problem = "holds bytes that are not " + label
		}
		decoded = b
	case isASCII(label):
		enc, name, _ := htmlcharset.DetermineEncoding(b, "")
		decoded, _ = enc.NewDecoder().Bytes(b)
		if valid = name != "windows-1252"; !valid {
			problem = "holds bytes that are not UTF-8"
		}
	case label == "utf-7" || label == "utf7" || label == "unicode-1-1-utf-7":
		decoded, valid = decodeUTF7(b)
	case enc == nil:
		problem = fmt.Sprintf("is in the charset %q, which is unknown, and is read as UTF-8", text.Clip(label, 40))
		decoded, valid = bytes.ToValidUTF8(b, []byte("\uFFFD")), true
	case enc == unicode.UTF8:
		decoded = bytes.ToValidUTF8(b, []byte("\uFFFD"))
	default:
		var err error
		decoded, err = enc.NewDecoder().Bytes(b)
		if err == nil && valid && utf8.RuneCount(b) <= len(b)-6 && !bytes.ContainsRune(b, 0) {
			// Three characters that are valid in UTF-8 by chance are next to impossible.
			problem = "is said to be " + label + ", and its bytes are UTF-8"
		}
		valid = err == nil && !bytes.ContainsRune(decoded, utf8.RuneError)
	}
	if !valid && problem == "" {
		problem = "holds bytes that are not " + label
	}
	return bytes.TrimPrefix(decoded, []byte("\uFEFF")), problem
}

func isASCII(label string) bool {
	switch strings.ReplaceAll(label, "_", "-") {
	case "", "us-ascii", "ascii", "ansi-x3.4-1968", "iso646-us", "us":
		return true
	}
	return false
}

// others are the charsets whose names browsers and the IANA do not have, or have in another sense.
var others = map[string]encoding.Encoding{
	"utf-16":     unicode.UTF16(unicode.LittleEndian, unicode.UseBOM),
	"utf-32":     utf32.UTF32(utf32.LittleEndian, utf32.UseBOM),
	"utf-32le":   utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM),
	"utf-32be":   utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM),
	"hz-gb-2312": simplifiedchinese.HZGB2312,
	"cp858":      charmap.CodePage858,
}

// otherNames are names that mail programs have for charsets, with a hyphen for each underscore.
var otherNames = map[string]string{
	"cp932": "shift_jis", "ms-kanji": "shift_jis", "cp936": "gbk", "cp949": "euc-kr", "cp950": "big5", "cp65001": "utf-8", "cp28591": "latin1",
	"eucjp": "euc-jp", "ujis": "euc-jp", "iso-2022-jp-1": "iso-2022-jp", "iso-2022-jp-2": "iso-2022-jp", "iso-2022-jp-3": "iso-2022-jp",
	"euc-cn": "gbk", "cn-gb": "gbk", "gb2312-80": "gbk", "gb-2312-80": "gbk", "hz": "hz-gb-2312", "cn-big5": "big5",
	"ks-c-5601": "euc-kr", "ksc5601": "euc-kr", "ksc-5601": "euc-kr", "uhc": "euc-kr",
	"utf16": "utf-16", "utf16le": "utf-16le", "utf16be": "utf-16be", "utf32": "utf-32", "ucs-2": "utf-16", "ucs2": "utf-16", "iso-10646-ucs-2": "utf-16",
	"latin-1": "latin1", "latin-2": "latin2", "latin9": "iso-8859-15", "latin-9": "iso-8859-15", "mac-roman": "macintosh", "koi8r": "koi8-r",
}

// codePage is how a code page of Microsoft or IBM is named.
var codePage = regexp.MustCompile(`^(?:x-)?(?:cp|ms|ibm|win|windows)-?(\d+)$`)

// encodingOf returns the charset with a label, by any name that browsers, the IANA or mail programs have for it; nil if
// there is none.
func encodingOf(label string) encoding.Encoding {
	hyphens := strings.ReplaceAll(label, "_", "-")
	names := []string{label, hyphens, strings.TrimPrefix(hyphens, "x-"), strings.ReplaceAll(hyphens, "iso8859", "iso-8859")}
	if page := codePage.FindStringSubmatch(hyphens); page != nil {
		names = append(names, "cp"+page[1], "windows-"+page[1], "ibm"+page[1])
	}
	for _, name := range names {
		if other := otherNames[name]; other != "" {
			name = other
		}
		if enc := others[name]; enc != nil {
			return enc
		}
		if enc, err := htmlindex.Get(name); err == nil && enc != encoding.Replacement {
			return enc
		}
		if enc, err := ianaindex.MIME.Encoding(name); err == nil && enc != nil {
			return enc
		}
	}
	return nil
}

// decodeUTF7 decodes RFC 2152's encoding, and reports whether b is in it.
func decodeUTF7(b []byte) (decoded []byte, ok bool) {
	ok = true
	for len(b) > 0 {
		plain, rest, found := bytes.Cut(b, []byte("+"))
		decoded = append(decoded, plain...)
		if !found {
			break
		}
		n := 0
		for n < len(rest) && (rest[n] == '+' || rest[n] == '/' || '0' <= rest[n] && rest[n] <= '9' || 'A' <= rest[n]&^0x20 && rest[n]&^0x20 <= 'Z') {
			n++
		}
		if n == 0 {
			decoded = append(decoded, '+')
		}
		units, err := base64.RawStdEncoding.DecodeString(string(rest[:n]))
		ok = ok && err == nil
		var codes []uint16
		for ; len(units) >= 2; units = units[2:] {
			codes = append(codes, binary.BigEndian.Uint16(units))
		}
		decoded = append(decoded, string(utf16.Decode(codes))...)
		b = bytes.TrimPrefix(rest[n:], []byte("-"))
	}
	return bytes.ToValidUTF8(decoded, []byte("\uFFFD")), ok && utf8.Valid(decoded)
}
