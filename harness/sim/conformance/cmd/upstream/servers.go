package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

// server is a server on which tests run.
type server struct {
	url   string
	debug string // where its debugging API is; empty: nowhere
	stop  func()
}

type starter func(context.Context) (*server, error)

var sides = map[string]starter{"sim": startSim, "server": startServer}

func startSim(context.Context) (*server, error) {
	s := sim.New(sim.Options{})
	s.RunInBackground(sim.WallClock)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	front := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = front.Serve(l) }()
	return &server{url: "http://" + l.Addr().String(), stop: func() {
		_ = front.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = s.Close(ctx)
	}}, nil
}

// startServer starts the pinned version of the real server, whatever is installed.
func startServer(ctx context.Context) (_ *server, err error) {
	bin, err := toolchain.Ensure(ctx, harness.ServiceInngest, toolchain.Options{LookupEnv: pinnedOnly})
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "upstream-server")
	if err != nil {
		return nil, err
	}
	remove := func() { _ = os.RemoveAll(dir) }
	ports, err := port.Free(4)
	if err != nil {
		return nil, err
	}
	p, err := proc.Start(ctx, proc.Spec{
		Name: "inngest", Path: bin.Path, Dir: dir, LogFile: filepath.Join(dir, "inngest.log"),
		Env: []string{"DO_NOT_TRACK=1", "HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TEST_MODE=true"},
		Args: []string{"dev", "--host", "127.0.0.1", "--no-discovery", "--no-poll", "--tick", "50",
			"--port", strconv.Itoa(ports[0]), "--connect-gateway-port", strconv.Itoa(ports[1]),
			"--connect-gateway-grpc-port", strconv.Itoa(ports[2]), "--connect-executor-grpc-port", strconv.Itoa(ports[3])},
	})
	if err != nil {
		remove()
		return nil, err
	}
	s := &server{url: fmt.Sprintf("http://127.0.0.1:%d", ports[0]), stop: func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = p.Stop(ctx, 5*time.Second)
		remove()
	}}
	api := inngestapi.New(s.url, inngestapi.Options{})
	defer func() { err = errors.Join(err, api.Close(context.Background())) }()
	if err := p.WaitReady(ctx, api.Ready); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// pinnedOnly keeps another version of the server from being taken, such as a newer one that is installed.
func pinnedOnly(variable string) (string, bool) {
	switch variable {
	case "HARNESS_IGNORE_INSTALLED":
		return "1", true
	case "INNGEST_BIN":
		return "", false
	default:
		return os.LookupEnv(variable)
	}
}
