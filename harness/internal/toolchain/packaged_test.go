package toolchain_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
)

// program writes a shell script that prints a line.
func program(t *testing.T, path, prints string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\necho '"+prints+"'\n"), 0o755))
}

func TestFind_TakesRedisAndPostgreSQLFromTheSystem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	named := filepath.Join(dir, "named")
	program(t, filepath.Join(dir, "redis-server"), "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64")
	program(t, named, "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)")
	vars := map[string]string{"PATH": dir, "POSTGRES_BIN": named}
	o := toolchain.Options{LookupEnv: func(key string) (string, bool) { v, ok := vars[key]; return v, ok }}

	redis, err := toolchain.Find(t.Context(), harness.ServiceRedis, o)
	require.NoError(t, err)
	require.Equal(t, toolchain.Binary{Tool: "redis", Path: filepath.Join(dir, "redis-server"), Version: "v7.0.15", Source: "installed"}, redis)

	_, err = toolchain.Find(t.Context(), harness.ServicePostgres, o)
	require.ErrorContains(t, err, "initdb")
	require.ErrorContains(t, err, "Install it (Debian, Ubuntu: apt-get install postgresql), or let POSTGRES_BIN name the program postgres.")
	program(t, filepath.Join(dir, "initdb"), "")
	postgres, err := toolchain.Ensure(t.Context(), harness.ServicePostgres, o)
	require.NoError(t, err)
	require.Equal(t, toolchain.Binary{Tool: "postgres", Path: named, Version: "v15.18", Source: "POSTGRES_BIN"}, postgres)

	vars["REDIS_BIN"] = filepath.Join(dir, "missing")
	_, err = toolchain.Find(t.Context(), harness.ServiceRedis, o)
	require.ErrorContains(t, err, "cannot find Redis")
	require.ErrorContains(t, err, "apt-get install redis-server), or let REDIS_BIN name the program redis-server.")
}
