#!/bin/sh
# Runs all tests, or those that match a pattern, and says in its last lines on which backends and databases they ran,
# what was left out, and why: also when tests fail. What ran is what the test programs say of themselves (HARNESS_RAN).
#
#   scripts/test.sh .                 run the tests
#   scripts/test.sh -summary FILE     only sum up what test programs have left in FILE
set -eu

module=github.com/odoo-maintenance/inngest-harness

# summary FILE [SECONDS] prints the last lines; with how long the tests took, where that is known.
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
		case ",${HARNESS_BACKENDS:-${HARNESS_BACKEND:-}}," in
		*,containers,*) echo "not run on containers, though HARNESS_BACKENDS names it: see above" ;;
		*) echo "not run on containers, which need Docker, since HARNESS_BACKENDS does not name it: HARNESS_BACKENDS=local,containers make test" ;;
		esac
	fi
	if ! grep -q "	MongoDB " "$1"; then
		echo "not run on MongoDB itself: set MONGOD_BIN, or run on containers with the official image"
	fi
	echo "not run: race detector and use as a dependency (make check), browser (make browser), other languages (make languages), command line on containers (make containers)"
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
# Alone: it measures what an app does in time, and the other packages would take the time from it.
go test -count=1 -timeout 20m -run "$1" ./e2e/faults || status=$?
summary "$HARNESS_RAN" $(($(date +%s) - began))
exit "$status"
