package golden_test

import (
	"fmt"
	"net/mail"
	"os"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/golden"
)

func Example() {
	dir, err := os.MkdirTemp("", "golden")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	email := &harness.Message{
		Subject: "Press 4 leaks",
		To:      []*mail.Address{{Name: "Kim", Address: "kim@plant.test"}},
		Text:    "See http://127.0.0.1:40123/requests/66f0c0ffee",
	}
	replace := []golden.Replacement{
		{Old: "http://127.0.0.1:40123", New: "{{app-url}}"},
		{Old: "66f0c0ffee", New: "{{request-id}}"},
	}

	// Once, to make the golden.
	update, err := golden.Open(dir, golden.Options{Update: true, Replace: replace})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(update.Compare("corrective", email))

	// From then on.
	set, err := golden.Open(dir, golden.Options{Replace: replace})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(set.Compare("corrective", email))
	email.Subject = "Press 5 leaks"
	fmt.Println(set.Compare("corrective", email) != nil)

	files, err := set.Load("corrective")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(files.Text)
	// Output:
	// <nil>
	// <nil>
	// true
	// See {{app-url}}/requests/{{request-id}}
}
