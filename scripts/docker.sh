#!/usr/bin/env bash
# Makes a Docker engine available to a command, and leaves the machine as it was.
#
#   scripts/docker.sh make test
#
# Where an engine answers, this only runs the command. Where none does and dockerd is installed (Debian: docker.io,
# iptables), it starts one, on this machine's usual socket, and stops it when the command has ended. The engine's log is
# kept in .harness/dockerd.log. Starting an engine takes root. TERM and INT are passed on to the command, which may take
# as long as it needs to end.
set -euo pipefail

fail() {
	echo "docker.sh: $*" >&2
	exit 1
}

answers() { docker version >/dev/null 2>&1; }

# runs PIDFILE NAME: whether the process that the file names is there, and is a NAME.
runs() { [ -f "$1" ] && [ "$(cat "/proc/$(cat "$1")/comm" 2>/dev/null)" = "$2" ]; }

# answers_while CHECK: waits until an engine answers, as long as CHECK succeeds.
answers_while() {
	local waited=0
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

command -v docker >/dev/null ||
	fail "there is no docker command in PATH: install Docker (Debian: apt-get install docker.io iptables, and from Debian 13 on docker-cli)"
if answers; then
	exec "$@"
fi
case $(docker version 2>&1) in
*"permission denied"*)
	fail "there is a Docker engine, but this user may not use it: run this as root, or join the group docker (sudo usermod -aG docker $(id -un)) and log in again"
	;;
esac
if runs /var/run/docker.pid dockerd && answers_while runs /var/run/docker.pid dockerd; then
	exec "$@" # another one was just starting
fi
command -v dockerd >/dev/null ||
	fail "no Docker engine answers, and dockerd is not installed: install Docker (Debian: apt-get install docker.io iptables)"
[ "$(id -u)" -eq 0 ] ||
	fail "no Docker engine answers, and only root can start one: run this as root, or sudo systemctl start docker"

# Left by a killed engine: the process ids in these files may belong to other processes now, which a new engine would take
# for its own.
runs /var/run/docker.pid dockerd || rm -f /var/run/docker.pid
runs /var/run/docker/containerd/containerd.pid containerd || rm -f /var/run/docker/containerd/containerd.pid

# Engine and command each get a process group: an interrupt from the keyboard reaches them only through this script, so
# that the engine outlives the command. Without a group the shell would let a background job ignore the interrupt.
set -m
mkdir -p .harness
log=.harness/dockerd.log
dockerd >"$log" 2>&1 </dev/null &
engine=$!
stop() {
	trap '' INT TERM # it is ending already
	kill "$engine" 2>/dev/null || true
	wait "$engine" 2>/dev/null || true
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if ! answers_while kill -0 "$engine" 2>/dev/null; then
	echo "docker.sh: no engine could be started; the end of $log:" >&2
	tail -n 5 "$log" >&2
	exit 1
fi

command=
asked= # by a signal, to end
hand_on() {
	asked=$1
	[ -z "$command" ] || kill "-$1" -- "-$command" 2>/dev/null || true
}
trap 'hand_on INT' INT
trap 'hand_on TERM' TERM
"$@" </dev/null &
command=$!
[ -z "$asked" ] || hand_on "$asked" # a signal that came just before
while :; do
	asked=
	status=0
	wait "$command" || status=$?
	[ -n "$asked" ] || break # otherwise a signal ended the wait, not the command
done
exit "$status"
