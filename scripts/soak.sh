#!/bin/sh
# Runs the end-to-end tests many times in a row, with the race detector (which needs a C compiler), on an idle machine and
# beside busy loops, and prints how often each package failed. The output of failed runs is kept in .harness/soak.
#
#   sh scripts/soak.sh                              30 runs of each package under each load
#   ROUNDS=3 LOAD=busy sh scripts/soak.sh ./e2e     three of one package, beside two busy loops
#
# It leaves out the commands in e2e/cmd, and e2e/workspace, which tests documents and builds more than it tests.
set -eu

rounds=${ROUNDS:-30}
load=${LOAD:-both}
case $load in
both) loads="idle busy" ;;
idle | busy) loads=$load ;;
*)
	echo "soak.sh: LOAD is \"$load\": it must be idle, busy or both" >&2
	exit 1
	;;
esac
if [ $# -eq 0 ]; then
	# shellcheck disable=SC2046 # one word per package
	set -- $(go list ./e2e/... | grep -v -e /e2e/cmd/ -e /e2e/workspace)
fi

root=$PWD
kept=$root/.harness/soak
scratch=$(mktemp -d)
busy=
stop_busy() {
	[ -z "$busy" ] || kill $busy 2>/dev/null || true
	busy=
}
trap 'stop_busy; rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir -p "$kept"
GOBIN=$scratch go install golang.org/x/tools/cmd/stress@v0.52.0

status=0
for load in $loads; do
	if [ "$load" = busy ]; then
		for _ in 1 2; do
			while :; do :; done &
			busy="$busy $!"
		done
	fi
	for package in "$@"; do
		name=$(basename "$package")
		CGO_ENABLED=1 go test -race -c -o "$scratch/$name.test" "$package"
		[ -f "$scratch/$name.test" ] || continue # it has no tests
		echo "== $name, $load, $rounds runs"
		(cd "$(go list -f '{{.Dir}}' "$package")" &&
			"$scratch/stress" -count "$rounds" -p 1 -timeout 10m -o "$kept/$load-$name-" "$scratch/$name.test") || status=1
		rm "$scratch/$name.test"
	done
	stop_busy
done
[ "$status" -eq 0 ] || echo "some runs failed: their output is in $kept" >&2
exit "$status"
