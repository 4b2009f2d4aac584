package sim

import "net/http"

// readRoutes adds what the harness reads of the server's API.
func (s *Sim) readRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /dev", s.readDev)
}

func (s *Sim) readDev(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	functions := []map[string]any{}
	for _, f := range s.ordered {
		triggers := []map[string]any{}
		for _, t := range f.triggers {
			if t.cron != "" {
				triggers = append(triggers, map[string]any{"cron": t.cron})
			} else {
				triggers = append(triggers, map[string]any{"event": t.event})
			}
		}
		functions = append(functions, map[string]any{
			"id": f.uuid.String(), "slug": f.id, "name": f.name, "triggers": triggers,
			"steps": []map[string]any{{"id": "step", "name": f.name, "uri": f.url.String()}},
		})
	}
	handlers := []map[string]any{}
	for _, a := range s.apps {
		handlers = append(handlers, map[string]any{"sdk": map[string]any{"url": a.url, "appName": a.name, "sdk": a.sdk}})
	}
	reply(w, http.StatusOK, map[string]any{"version": "sim", "authed": true, "isSingleNodeService": false, "functions": functions, "handlers": handlers})
}
