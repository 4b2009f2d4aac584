#!/bin/sh
# Runs the tests of the apps in examples/, or of those that are named, as their users do: npm ci, then the tests. It ends with the
# seconds that each took. The servers must be built (make tools).
#
#   scripts/examples.sh [NAME…]
set -eu
cd "$(dirname "$0")/.."
root=$PWD
export HARNESS_BIN="$root/bin/harness" HARNESS_PAGE=off DO_NOT_TRACK=1 NEXT_TELEMETRY_DISABLED=1
taken=$(mktemp)
trap 'rm -f "$taken"' EXIT
failed=

# step NAME COMMAND…: runs it, and notes its seconds.
step() {
	name=$1
	shift
	printf '\n== %s\n' "$name"
	began=$(date +%s)
	result=ok
	"$@" || { result=FAILED && failed=$name; }
	printf '%4d s  %-6s  %s\n' $(($(date +%s) - began)) "$result" "$name" >>"$taken"
}

# install installs what the lock file names, unless it is there. npm keeps downloads. Their install scripts fetch what no test
# needs.
install() {
	cmp -s package-lock.json node_modules/.installed ||
		{ npm ci --ignore-scripts --prefer-offline --no-audit --no-fund && cp package-lock.json node_modules/.installed; }
}

# package: the command, and what is published as npm package.
package() {
	go build -o bin/ ./harness/cmd/harness && cd harness/js || return
	[ -d node_modules ] || install || return
	npm run build
}

# example NAME: in a subshell. A package of this repository is copied, as npm does.
example() (
	cd "examples/$1"
	if [ -f package.json ]; then
		install && cp -R "$root/harness/js/dist" node_modules/inngest-harness/ || exit
	fi
	case $1 in
	express-vitest) npm run check && npm test && INNGEST=server npm test ;;
	python-*) python3 -m unittest -v ;;
	go-*) go test -count=1 -v . ;;
	*) npm test ;;
	esac
)

# set -e has no effect within a condition, so every command there ends with && or is the last one.
step "harness and its npm package" package
cd "$root"
[ $# -gt 0 ] || set -- $(cd examples && ls -d -- */ | tr -d /)
for name; do step "examples/$name" example "$name"; done

printf '\n'
cat "$taken"
[ -z "$failed" ]
