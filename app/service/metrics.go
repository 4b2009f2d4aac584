package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// serveMetrics serves the metrics on their configured address. It returns nil if there is none.
func (s *Service) serveMetrics(ctx context.Context) (*http.Server, error) {
	if s.config.MetricsAddr == "" {
		return nil, nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.config.MetricsAddr)
	if err != nil {
		return nil, fmt.Errorf("cannot serve metrics (choose another METRICS_ADDR): %w", err)
	}
	s.logger.Info("serving metrics", "url", "http://"+l.Addr().String()+"/metrics")
	server := &http.Server{
		Handler:           s.telemetry.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelWarn),
	}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.logger.Error("metrics are no longer served", "error", err)
		}
	}()
	return server, nil
}

// lastSpans limits the sending of the last spans at a stop.
const lastSpans = time.Second

// closeTelemetry ends the serving of metrics and sends the last spans. What it cannot do is logged: the stop does not fail.
func (s *Service) closeTelemetry(ctx context.Context) {
	if s.telemetry == nil {
		return // the start failed
	}
	if s.metrics != nil {
		if err := s.metrics.Close(); err != nil {
			s.logger.Warn("cannot stop serving metrics", "error", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, lastSpans)
	defer cancel()
	if err := s.telemetry.Close(ctx); err != nil {
		s.logger.Warn("the last traces could not be sent", "error", err)
	}
}
