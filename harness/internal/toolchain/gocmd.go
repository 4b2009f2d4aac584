package toolchain

import (
	"context"
	"encoding/json"
	"fmt"
	"go/version"
	"os"
	"os/exec"
	"strings"
)

// goCommand is the go command that builds the tools.
type goCommand struct {
	path    string
	version string // of the toolchain that will do the work, such as "go1.26.8"
}

// findGo finds a go command that can build the recipe.
func (f *finder) findGo(ctx context.Context) (goCommand, error) {
	install := fmt.Sprintf("Install Go %s or newer (https://go.dev/dl)", strings.TrimPrefix(f.recipe.minGo, "go"))
	if f.recipe.variable != "" {
		install += ", or let " + f.recipe.variable + " name the program"
	}
	install += "."
	path, err := f.lookPath("go")
	if err != nil {
		return goCommand{}, f.cannotBuild("there is no go command in PATH", install, err)
	}

	cmd := exec.CommandContext(ctx, path, "env", "-json", "GOVERSION", "GOTOOLCHAIN")
	cmd.Dir = os.TempDir() // not in a module, whose go.mod could select another toolchain
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		return goCommand{}, f.cannotBuild(fmt.Sprintf("%s env: %v", path, err), install, err)
	}
	var env struct{ GOVERSION, GOTOOLCHAIN string }
	if err := json.Unmarshal(out, &env); err != nil {
		return goCommand{}, f.cannotBuild(fmt.Sprintf("%s env answers %q", path, firstLine(out)), install, err)
	}

	// "go1.26.8 X:experiment"; a development version cannot be compared, and is accepted.
	have, _, _ := strings.Cut(env.GOVERSION, " ")
	if version.IsValid(have) && version.Compare(have, f.recipe.minGo) < 0 {
		// A go command of 1.21 and later downloads the one that go.mod requires, unless GOTOOLCHAIN forbids it.
		if env.GOTOOLCHAIN != "auto" && !strings.HasSuffix(env.GOTOOLCHAIN, "+auto") {
			why := fmt.Sprintf("%s is %s, and %s is needed", path, have, f.recipe.minGo)
			if env.GOTOOLCHAIN == "local" {
				why += " (GOTOOLCHAIN=local keeps it from fetching that)"
			}
			return goCommand{}, f.cannotBuild(why, install, nil)
		}
		have = f.recipe.minGo
	}
	return goCommand{path: path, version: have}, nil
}
