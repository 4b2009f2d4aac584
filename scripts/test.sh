#!/bin/sh
# Runs all tests, or those that match a pattern. Its last lines say, also when tests fail, which packages took longest, on
# which backends and databases they ran, and what was left out and why. What ran where comes from what the test programs
# record in the file HARNESS_RAN.
#
#   scripts/test.sh .                 run the tests
#   scripts/test.sh -summary FILE     only print the last lines for the records in FILE
set -eu

module=github.com/odoo-maintenance/inngest-harness

# slowest FILE prints which packages took longest, from what go test printed.
slowest() {
	awk -F '\t' -v module="$module/" '/^(ok  |FAIL)\t/ && $3 + 0 > 0 { sub(module, "", $2); printf "%.1f\t%s\n", $3, $2 }' "$1" |
		sort -rn | head -n 5 | awk -F '\t' '{ line = line (NR > 1 ? ", " : "") $2 " " $1 " s" } END { if (line != "") print "slowest: " line }'
}

# summary FILE [SECONDS OUTPUT] prints the last lines, with the time that the tests took, and what go test printed.
summary() {
	echo
	if [ $# -gt 1 ]; then
		echo "took $(($2 / 60)) min $(($2 % 60)) s"
		slowest "$3"
	fi
	# A line for each backend and database, with the packages that ran there.
	sort -u "$1" | awk -F '\t' -v module="$module/" '
		{ where = $1 ", " $2; sub(module, "", $3) }
		where != last { if (last != "") print line; line = "ran on " where ": " $3; last = where; next }
		{ line = line ", " $3 }
		END { print last == "" ? "no test ran on a stack" : line }'
	if ! grep -q "^containers	" "$1"; then
		case ",${HARNESS_BACKENDS:-}," in
		*,containers,*) echo "not run on containers, though HARNESS_BACKENDS names it: see above" ;;
		*) echo "not run on containers, which need Docker, since HARNESS_BACKENDS does not name it: HARNESS_BACKENDS=local,containers make test" ;;
		esac
	fi
	if ! grep -q "	MongoDB " "$1"; then
		echo "not run on MongoDB itself: set MONGOD_BIN, or run on containers with the official image"
	fi
	echo "not run: race detector and use as a dependency (make check), browser (make browser), command line with other languages and on containers (.ci/run)"
}

if [ "$1" = -summary ]; then
	summary "$2"
	exit
fi

dir=$(mktemp -d)
HARNESS_RAN=$dir/ran
export HARNESS_RAN
: >"$HARNESS_RAN"
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# Compilers, tests and servers are short-lived: they have no time to spend on collecting garbage.
GOGC=${GOGC:-400}
export GOGC
began=$(date +%s)
# Many tests wait for servers, so more packages run side by side than there are processors.
beside=$((2 * $(getconf _NPROCESSORS_ONLN)))
# gotest PATTERN PACKAGE…: a pipe has the status of its last command, so a failure goes by way of a file.
gotest() { { go test -count=1 -p "$beside" -timeout 20m -run "$@" || echo $? >"$dir/status"; } | tee -a "$dir/output"; }
# First what takes longest, which mostly waits for the minutes of the real server's clock.
# shellcheck disable=SC2046 # one word per package
gotest "$1" ./e2e/production ./harness/sim/conformance $(go list work | grep -v -e /e2e/faults -e /e2e/production$ -e /sim/conformance$)
# By itself: the fault matrix measures times, which packages that run beside it would lengthen.
gotest "$1" ./e2e/faults
summary "$HARNESS_RAN" $(($(date +%s) - began)) "$dir/output"
[ ! -f "$dir/status" ] || exit "$(cat "$dir/status")"
