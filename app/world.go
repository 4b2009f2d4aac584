package app

import (
	"fmt"
	"strings"
)

// World holds the users and equipment that requests refer to. `app seed` loads one from a JSON file.
type World struct {
	Users     []User      `json:"users"`
	Equipment []Equipment `json:"equipment"`
}

// Validate returns one error that lists all problems of w, each with its place.
func (w World) Validate() error {
	var problems []string
	report := func(place, problem string) {
		if problem != "" {
			problems = append(problems, place+" "+problem)
		}
	}
	seen := map[string]string{}
	id := func(place, id string) {
		report(place+".id", idProblem(id))
		if other, dup := seen[id]; dup && id != "" {
			report(place+".id", "is that of "+other+" too")
		}
		seen[id] = place
	}

	for i, u := range w.Users {
		place := fmt.Sprintf("users[%d]", i)
		id(place, u.ID)
		report(place+".name", nameProblem(u.Name))
		report(place+".role", nameProblem(u.Role))
		if u.Email != "" && !plainAddress(u.Email) {
			report(place+".email", "is not a bare address such as kim@plant.test")
		}
	}
	for i, e := range w.Equipment {
		place := fmt.Sprintf("equipment[%d]", i)
		id(place, e.ID)
		report(place+".name", nameProblem(e.Name))
		report(place+".location", lineProblem(e.Location))
	}
	if len(w.Users)+len(w.Equipment) == 0 {
		problems = append(problems, `it holds no "users" and no "equipment"`)
	}
	if len(problems) > 0 {
		return fmt.Errorf("invalid world:\n  %s", strings.Join(problems, "\n  "))
	}
	return nil
}

func nameProblem(s string) string {
	if strings.TrimSpace(s) == "" {
		return "is required"
	}
	if len(s) > MaxSubject {
		return fmt.Sprintf("must not be longer than %d bytes", MaxSubject)
	}
	return lineProblem(s)
}
