// Command healthcheck tells a container engine whether the program of a container is usable, in an image FROM scratch, which
// has no shell and no curl.
//
//	healthcheck http://127.0.0.1:8025/api/v2/messages?limit=1   answers with 200
//	healthcheck 127.0.0.1:1025                                  accepts connections
//	healthcheck -inngest http://inngest:8288 -app http://app:3000/api/inngest http://127.0.0.1:3000/readyz
//
// All targets have to be usable; with -inngest and -app, that dev server has to list functions of that app. The exit status
// is 0 then, 1 otherwise, with a sentence, and 2 for wrong arguments.
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
		var err error
		if strings.Contains(t, "://") {
			_, err = get(ctx, t)
		} else {
			err = connects(ctx, t)
		}
		if err != nil {
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

// synced returns nil when the dev server lists a function that it calls at the app's URL.
func synced(ctx context.Context, inngest, app string) error {
	body, err := get(ctx, strings.TrimRight(inngest, "/")+"/dev")
	if err != nil {
		return err
	}
	var dev struct {
		Functions []struct {
			Steps []struct {
				URI string `json:"uri"`
			} `json:"steps"`
		} `json:"functions"`
	}
	if err := json.Unmarshal(body, &dev); err != nil {
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
}

func get(ctx context.Context, url string) (body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", url, res.Status)
	}
	return io.ReadAll(res.Body)
}
