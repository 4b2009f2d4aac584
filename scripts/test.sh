#!/bin/sh
# Runs all tests, or those that match a pattern. Its last lines say, also when tests fail, on which backends and databases
# they ran, and what was left out and why. They come from what the test programs record in the file HARNESS_RAN.
#
#   scripts/test.sh .                 run the tests
#   scripts/test.sh -summary FILE     only print the last lines for the records in FILE
set -eu

module=github.com/odoo-maintenance/inngest-harness

# summary FILE [SECONDS] prints the last lines, with the time that the tests took.
summary() {
	echo
	[ $# -lt 2 ] || echo "took $(($2 / 60)) min $(($2 % 60)) s"
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

HARNESS_RAN=$(mktemp)
export HARNESS_RAN
trap 'rm -f "$HARNESS_RAN"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
status=0
began=$(date +%s)
# shellcheck disable=SC2046 # one word per package
go test -count=1 -timeout 20m -run "$1" $(go list work | grep -v /e2e/faults) || status=$?
# By itself: the fault matrix measures times, which packages that run beside it would lengthen.
go test -count=1 -timeout 20m -run "$1" ./e2e/faults || status=$?
summary "$HARNESS_RAN" $(($(date +%s) - began))
exit "$status"
