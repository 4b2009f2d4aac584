//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/smtp"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"
)

// ping is the data of the event that triggers the scripts' app.
type ping struct {
	// To gets an email; "": no email is sent.
	To string `json:"to"`
	// Subject is the email's.
	Subject string `json:"subject"`
	// Fail makes the first step fail for good, with this text.
	Fail string `json:"fail"`
	// Ask is where the greeting is to be had from; "": the app makes it.
	Ask string `json:"ask"`
	// Nap makes the run sleep for a day before it ends.
	Nap  bool   `json:"nap"`
	File string `json:"file"` // attached as parts.csv
}

// inngestApp is the main of an app for the scripts. It reads its environment as any app would, and misbehaves as its
// flags say.
func inngestApp() {
	log.SetFlags(0)
	exit := flag.String("exit", "", "print this and exit with status 3")
	deaf := flag.Bool("deaf", false, "never listen")
	plain := flag.Bool("plain", false, "serve HTTP, but no functions")
	cloud := flag.Bool("cloud", false, "run in cloud mode")
	elsewhere := flag.Bool("elsewhere", false, "register with a server that is not there")
	stubborn := flag.Bool("stubborn", false, "ignore interrupts")
	dotenv := flag.Bool("dotenv", false, "read .env")
	source := flag.String("source", "", "a file to be built from; one that holds \"broken\" does not build")
	flag.Parse()

	if *exit != "" {
		fmt.Fprintln(os.Stderr, *exit)
		os.Exit(3)
	}
	if *dotenv {
		readDotenv()
	}
	if *source != "" {
		build(*source)
	}
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	if *deaf {
		fmt.Println("not listening")
		<-interrupts
		os.Exit(0)
	}

	var handler http.Handler = http.NotFoundHandler()
	if !*plain {
		handler = functions(*cloud, *elsewhere)
	}
	mux := http.NewServeMux()
	mux.Handle("/api/inngest", handler)
	mux.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) { log.Fatal("panic: crashed as told") })
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", os.Getenv("PORT")))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("MAIL_USER=[%s] MAIL_PASS=[%s] INNGEST_SIGNING_KEY=[%s]\n", os.Getenv("MAIL_USER"), os.Getenv("MAIL_PASS"), os.Getenv("INNGEST_SIGNING_KEY"))
	go func() { log.Fatal(http.Serve(l, mux)) }()
	for range interrupts {
		if !*stubborn {
			return
		}
		fmt.Println("ignoring an interrupt")
	}
}

// functions is the handler of the app's one function.
func functions(cloud, elsewhere bool) http.Handler {
	dev, apiURL := !cloud, os.Getenv("INNGEST_DEV")
	if elsewhere {
		apiURL = "http://127.0.0.1:1"
	}
	key := "signkey-test-00000000"
	client, err := inngestgo.NewClient(inngestgo.ClientOpts{
		AppID: "script", Dev: &dev, APIBaseURL: &apiURL, EventAPIBaseURL: &apiURL, RegisterURL: registerURL(apiURL), SigningKey: &key,
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = inngestgo.CreateFunction(client, inngestgo.FunctionOpts{ID: "answer"}, inngestgo.EventTrigger("script/ping", nil), answer)
	if err != nil {
		log.Fatal(err)
	}
	return garbling(client.Serve())
}

// garbling answers calls for an event whose data ask for it with what is no JSON.
func garbling(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPost && bytes.Contains(body, []byte(`"garble":true`)) {
			w.Header().Set("X-Inngest-Sdk", "test:v0") // without it the server takes the answer for another program's
			fmt.Fprint(w, "{not json \x1b]0;title\a")
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

func registerURL(apiURL string) *string {
	u := apiURL + "/fn/register"
	return &u
}

func answer(ctx context.Context, in inngestgo.Input[ping]) (any, error) {
	data := in.Event.Data
	greeting, err := step.Run(ctx, "greet", func(context.Context) (string, error) {
		if data.Fail != "" {
			return "", inngestgo.NoRetryError(errors.New(data.Fail))
		}
		return "hello " + data.To, nil
	})
	if err != nil {
		return nil, err
	}
	if data.Ask != "" {
		got, err := step.Fetch[string](ctx, "ask", step.FetchOpts{URL: data.Ask})
		if err != nil {
			return nil, err
		}
		greeting = got.Body
	}
	if data.To != "" {
		if _, err := step.Run(ctx, "mail", func(context.Context) (string, error) {
			return data.To, sendMail(in.InputCtx.RunID, data, greeting)
		}); err != nil {
			return nil, err
		}
	}
	if data.Nap {
		step.Sleep(ctx, "nap", 24*time.Hour)
	}
	return map[string]any{"greeting": greeting}, nil
}

func sendMail(run string, p ping, text string) error {
	head := fmt.Sprintf("From: Script <script@plant.test>\r\nTo: %s\r\nSubject: %s\r\nX-Inngest-Run-Id: %s\r\n", p.To, p.Subject, run)
	body := head + "\r\n" + text + "\r\n"
	if p.File != "" {
		body = head + "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n\r\n" + text +
			"\r\n--B\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=parts.csv\r\n\r\n" + p.File + "\r\n--B--\r\n"
	}
	return smtp.SendMail(net.JoinHostPort(os.Getenv("MAIL_HOST"), os.Getenv("MAIL_PORT")), nil, "script@plant.test", []string{p.To}, []byte(body))
}

// build stands for a compiler.
func build(file string) {
	source, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	text := strings.TrimSpace(string(source))
	if strings.Contains(text, "broken") {
		log.Fatalf("%s:1: syntax error", file)
	}
	fmt.Println("built from:", text)
}

// readDotenv sets what is not set, as the libraries for it do in every language.
func readDotenv() {
	data, err := os.ReadFile(".env")
	if err != nil {
		log.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), "=")
		if _, set := os.LookupEnv(key); !set {
			os.Setenv(key, value)
		}
	}
}
