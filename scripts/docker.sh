#!/bin/sh
# Makes a Docker engine available to a command, and leaves the machine as it was.
#
#   scripts/docker.sh make test
#
# Where an engine answers, the command is simply run. Where none does and dockerd is installed (Debian: docker.io,
# iptables), one is started, on this machine's usual socket, and stopped when the command has ended. Its log is
# kept in .harness/dockerd.log.
set -eu

answers() { docker version >/dev/null 2>&1; }

if answers; then
	exec "$@"
fi
if ! command -v dockerd >/dev/null 2>&1; then
	echo "docker.sh: no Docker engine answers, and dockerd is not installed: install Docker (Debian: apt-get install docker.io iptables)" >&2
	exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "docker.sh: no Docker engine answers, and only root can start one: sudo systemctl start docker" >&2
	exit 1
fi

mkdir -p .harness
log=.harness/dockerd.log
dockerd >"$log" 2>&1 &
engine=$!
stop() {
	kill "$engine" 2>/dev/null || true
	wait "$engine" 2>/dev/null || true
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

waited=0
until answers; do
	if ! kill -0 "$engine" 2>/dev/null; then
		echo "docker.sh: dockerd ended; the end of $log:" >&2
		tail -n 5 "$log" >&2
		exit 1
	fi
	if [ "$waited" -ge 300 ]; then
		echo "docker.sh: dockerd does not answer after 60 s; see $log" >&2
		exit 1
	fi
	sleep 0.2
	waited=$((waited + 1))
done
"$@"
