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

# runs PIDFILE NAME: whether the process that the file names is there, and is a NAME.
runs() { [ -f "$1" ] && [ "$(cat "/proc/$(cat "$1")/comm" 2>/dev/null)" = "$2" ]; }

# patience CHECK: waits until an engine answers, as long as CHECK succeeds.
patience() {
	waited=0
	until answers; do
		if ! "$@"; then
			return 1
		fi
		if [ "$waited" -ge 600 ]; then
			echo "docker.sh: dockerd does not answer after 2 minutes" >&2
			return 1
		fi
		sleep 0.2
		waited=$((waited + 1))
	done
}

if answers; then
	exec "$@"
fi
if runs /var/run/docker.pid dockerd && patience runs /var/run/docker.pid dockerd; then
	exec "$@" # somebody else's was just starting
fi
if ! command -v dockerd >/dev/null 2>&1; then
	echo "docker.sh: no Docker engine answers, and dockerd is not installed: install Docker (Debian: apt-get install docker.io iptables)" >&2
	exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "docker.sh: no Docker engine answers, and only root can start one: sudo systemctl start docker" >&2
	exit 1
fi

# What a killed engine left behind: the numbers in these files may be those of other processes by now, which a new engine
# would take for its own.
runs /var/run/docker.pid dockerd || rm -f /var/run/docker.pid
runs /var/run/docker/containerd/containerd.pid containerd || rm -f /var/run/docker/containerd/containerd.pid

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

if ! patience kill -0 "$engine" 2>/dev/null; then
	echo "docker.sh: no engine could be started; the end of $log:" >&2
	tail -n 5 "$log" >&2
	exit 1
fi
"$@"
