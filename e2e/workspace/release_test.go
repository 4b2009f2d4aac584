//go:build release

package workspace_test

import (
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// scripts/release.sh makes, for this system, what a release has: programs that run anywhere, the list of their components, and
// checksums.
func TestRelease_HasStaticProgramsComponentsAndChecksums(t *testing.T) {
	t.Parallel()
	r := &reader{T: t, dir: root(t), env: []string{"PLATFORMS=" + runtime.GOOS + "/" + runtime.GOARCH}}
	out, err := r.shell("sh scripts/release.sh latest " + t.TempDir()).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), `the version is "latest": it must be one such as v0.1.0`)

	dist := t.TempDir()
	out, err = r.shell("sh scripts/release.sh v1.2.3 " + dist).CombinedOutput()
	require.NoError(t, err, "%s", out)
	name := "inngest-harness-v1.2.3-" + runtime.GOOS + "-" + runtime.GOARCH
	cmd := exec.Command("sh", "-ec", "sha256sum --check --strict SHA256SUMS && tar xzf "+name+".tar.gz")
	cmd.Dir = dist
	out, err = cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, file := range []string{"LICENSE", "README.md", "CHANGELOG.md"} {
		require.FileExists(t, filepath.Join(dist, name, file))
	}
	for _, server := range []string{"ferretdb", "mailhog"} {
		require.FileExists(t, filepath.Join(dist, name, "servers", server+"-LICENSE"))
		require.FileExists(t, filepath.Join(dist, name+"-"+server+".cdx.json"))
	}
	// With neither Go nor anything in the cache, it starts with what it brings.
	up := exec.Command(filepath.Join(dist, name, "harness"), "up", "--backend", "local", "--ports", "free", "--json")
	up.Dir, up.Env = t.TempDir(), []string{"HOME=" + t.TempDir(), "PATH=/nowhere", "HARNESS_PAGE=off"}
	stdout, err := up.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, up.Start())
	var state struct{ Backend string }
	err = json.NewDecoder(stdout).Decode(&state)
	require.NoError(t, up.Process.Signal(os.Interrupt))
	require.NoError(t, err)
	require.NoError(t, up.Wait())
	require.Equal(t, "local (sim)", state.Backend)

	for _, program := range []string{"app", "harness"} {
		path := filepath.Join(dist, name, program)
		out, err = exec.Command(path, "help").CombinedOutput()
		require.NoError(t, err, "%s", out)
		if runtime.GOOS == "linux" {
			f, err := elf.Open(path)
			require.NoError(t, err)
			libraries, err := f.ImportedLibraries()
			require.NoError(t, err)
			require.Empty(t, libraries, "%s is not static", program)
			require.NoError(t, f.Close())
		}
		var sbom struct {
			Metadata   struct{ Component struct{ Version string } }
			Components []struct{ Name, Version string }
		}
		text, err := os.ReadFile(filepath.Join(dist, name+"-"+program+".cdx.json"))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &sbom))
		require.Equal(t, "v1.2.3", sbom.Metadata.Component.Version)
		listed := map[string]string{}
		for _, c := range sbom.Components {
			listed[c.Name] = c.Version
		}
		info, err := buildinfo.ReadFile(path)
		require.NoError(t, err)
		for _, d := range info.Deps {
			if d.Version != "(devel)" { // a module of this workspace
				require.Equal(t, d.Version, listed[d.Path], "%s in the components of %s", d.Path, program)
			}
		}
	}
}
