package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
)

// installed returns the images of servers that are not built from source: their programs, and the libraries that these load,
// are those of this machine's Debian packages. dir is for files that the images need in addition.
func installed(ctx context.Context, dir, arch string) ([]image, error) {
	if runtime.GOOS != "linux" || runtime.GOARCH != arch {
		return nil, fmt.Errorf("make images of this machine's Redis and PostgreSQL: this is %s/%s and the Docker engine linux/%s; use the official images",
			runtime.GOOS, runtime.GOARCH, arch)
	}
	redis, err := installedRedis(ctx)
	if err != nil {
		return nil, err
	}
	postgres, err := installedPostgres(ctx, dir)
	return []image{redis, postgres}, err
}

func installedRedis(ctx context.Context) (image, error) {
	redis, err := toolchain.Find(ctx, harness.ServiceRedis, toolchain.Options{})
	if err != nil {
		return image{}, err
	}
	i := image{name: "redis", version: redis.Version, files: map[string]string{"usr/bin/redis-server": redis.Path}}
	return i, i.addLibraries(ctx, redis.Path)
}

// installedPostgres keeps Debian's paths, since the programs find each other and their files relative to their own.
func installedPostgres(ctx context.Context, dir string) (image, error) {
	postgres, err := toolchain.Find(ctx, harness.ServicePostgres, toolchain.Options{})
	if err != nil {
		return image{}, err
	}
	bin := filepath.Dir(postgres.Path)
	if !strings.HasPrefix(bin, "/usr/lib/postgresql/") {
		return image{}, fmt.Errorf("make the image of PostgreSQL: %s is not of Debian's package: install that (apt-get install postgresql)", postgres.Path)
	}
	lib, share := filepath.Join(bin, "../lib"), filepath.Join("/usr/share/postgresql", filepath.Base(filepath.Dir(bin)))
	passwd := filepath.Join(dir, "passwd")
	if err := os.WriteFile(passwd, []byte("postgres:x:65532:65532::/data:/bin/sh\n"), 0o644); err != nil {
		return image{}, err
	}
	i := image{name: "postgres", version: postgres.Version, files: map[string]string{
		"etc/passwd": passwd, "bin/sh": "/bin/sh", "usr/bin/pg_isready": filepath.Join(bin, "pg_isready"),
	}}
	load := []string{"/bin/sh"}
	for _, name := range []string{"postgres", "initdb", "pg_isready"} {
		program := filepath.Join(bin, name)
		i.files[program[1:]] = program
		load = append(load, program)
	}
	modules, err := filepath.Glob(lib + "/*.so")
	if err != nil {
		return image{}, err
	}
	for _, m := range modules {
		// PostgreSQL does without its compiler of queries, which would add more than all else.
		if filepath.Base(m) != "llvmjit.so" {
			i.files[m[1:]] = m
			load = append(load, m)
		}
	}
	for _, d := range []string{share, "/usr/share/zoneinfo/Etc"} {
		if err := i.addTree(d); err != nil {
			return image{}, fmt.Errorf("make the image of PostgreSQL: %w", err)
		}
	}
	i.files["usr/share/zoneinfo/UTC"] = "/usr/share/zoneinfo/UTC"
	return i, i.addLibraries(ctx, load...)
}

// addTree adds the files below a directory. It leaves out links to files that do not exist.
func (i image) addTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			i.files[path[1:]] = path
		}
		return nil
	})
}

// library is a line of ldd: "libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x…)" or the loader's "/lib64/ld-linux-x86-64.so.2 (0x…)".
var library = regexp.MustCompile(`(?m)^\s(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)$`)

// addLibraries adds what programs, or libraries, load at their start.
func (i image) addLibraries(ctx context.Context, programs ...string) error {
	out, err := exec.CommandContext(ctx, "ldd", programs...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make the image of %s: list the libraries: %w\n%s", i.name, err, out)
	}
	if strings.Contains(string(out), "not found") {
		return fmt.Errorf("make the image of %s: a library is missing: install the package again\n%s", i.name, out)
	}
	for _, m := range library.FindAllStringSubmatch(string(out), -1) {
		i.files[m[1][1:]] = m[1]
	}
	return nil
}
