#!/bin/sh
# Runs `docker compose`. Where the docker command has no such plugin, this builds it once from its Go module, into the
# harness's cache.
set -eu

version=v2.40.3
module=github.com/docker/compose/v2

if docker compose version >/dev/null 2>&1; then
	exec docker compose "$@"
fi

cache=${HARNESS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/inngest-harness}
program=$cache/compose-$version/docker-compose
if [ ! -x "$program" ]; then
	echo "docker has no compose plugin: building Compose $version from source, once (about 3 minutes)" >&2
	mkdir -p "$cache"
	scratch=$(mktemp -d "$cache/compose-XXXXXX")
	trap 'rm -rf "$scratch"' EXIT INT TERM
	# In the module's own directory, since `go install` refuses a module whose go.mod excludes versions.
	# The JSON contains the error, too.
	found=$(GOWORK=off GOFLAGS= go mod download -json "$module@$version") || true
	source=$(printf '%s\n' "$found" | sed -n 's/^.*"Dir": "\(.*\)",$/\1/p')
	if [ -z "$source" ]; then
		echo "compose.sh: the source of Compose $version cannot be downloaded: $found" >&2
		exit 1
	fi
	(cd "$source" && GOWORK=off GOFLAGS=-buildvcs=false CGO_ENABLED=0 go build -trimpath \
		-ldflags "-s -w -X $module/internal.Version=$version" -o "$scratch/docker-compose" ./cmd)
	mkdir -p "${program%/*}"
	mv "$scratch/docker-compose" "$program"
	rm -rf "$scratch"
	trap - EXIT INT TERM
fi
exec "$program" "$@"
