// Command healthcheck tells a container engine whether what runs in a container is usable. It stands in for the shell
// and curl that an image made from scratch lacks.
//
//	healthcheck http://127.0.0.1:8025/api/v2/messages?limit=1   answers with 200
//	healthcheck 127.0.0.1:1025                                  takes connections
//	healthcheck -inngest http://inngest:8288 -app http://app:3000/api/inngest http://127.0.0.1:3000/readyz
//
// All that is named has to be well; with -inngest and -app, that dev server has to list functions of that app. It
// exits with 0 then, with 1 and a sentence otherwise, and with 2 when it was called wrongly.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// timeout bounds the whole check; engines give it more.
const timeout = 4 * time.Second

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	os.Exit(run(ctx, os.Args[1:], os.Stderr))
}

func run(ctx context.Context, args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("healthcheck", flag.ContinueOnError)
	flags.SetOutput(stderr)
	inngest := flags.String("inngest", "", "base `URL` of the dev server that has to know the app")
	app := flags.String("app", "", "`URL` of the app's functions as that server knows it")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() == 0 || (*inngest == "") != (*app == "") {
		fmt.Fprintln(stderr, "healthcheck: name at least one URL or host:port, and -inngest with -app or neither")
		return 2
	}
	if err := check(ctx, flags.Args(), *inngest, *app); err != nil {
		fmt.Fprintln(stderr, "healthcheck:", err)
		return 1
	}
	return 0
}

func check(ctx context.Context, targets []string, inngest, app string) error {
	for _, t := range targets {
		look := connects
		if strings.Contains(t, "://") {
			look = answers
		}
		if err := look(ctx, t); err != nil {
			return err
		}
	}
	if inngest == "" {
		return nil
	}
	return synced(ctx, inngest, app)
}

func connects(ctx context.Context, addr string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

func answers(ctx context.Context, url string) error {
	return get(ctx, url, func(io.Reader) error { return nil })
}

// synced returns nil when the dev server lists a function that it calls at the app's URL.
func synced(ctx context.Context, inngest, app string) error {
	return get(ctx, strings.TrimRight(inngest, "/")+"/dev", func(body io.Reader) error {
		var dev struct {
			Functions []struct {
				Steps []struct {
					URI string `json:"uri"`
				} `json:"steps"`
			} `json:"functions"`
		}
		if err := json.NewDecoder(body).Decode(&dev); err != nil {
			return fmt.Errorf("%s is not an Inngest dev server: %w", inngest, err)
		}
		for _, f := range dev.Functions {
			for _, s := range f.Steps {
				if url, _, _ := strings.Cut(s.URI, "?"); url == app {
					return nil
				}
			}
		}
		return fmt.Errorf("the dev server knows no functions at %s yet", app)
	})
}

func get(ctx context.Context, url string, read func(io.Reader) error) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, res.Status)
	}
	return read(res.Body)
}
