#!/bin/sh
# Fuzzes every fuzz test of the workspace for a time each, one after the other.
#
#   scripts/fuzz.sh 20s                                   all of them
#   scripts/fuzz.sh 20s ./harness/tap FuzzFault …   pairs of package and test
#
# Go keeps a failing input in the package's testdata/fuzz, where the ordinary tests run it from then on.
set -eu
time=$1
shift
if [ $# -eq 0 ]; then
	files=$(git ls-files '*_test.go') # on a line of its own, so that a failure ends this script
	for file in $files; do
		for fuzz in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
			set -- "$@" "./$(dirname "$file")" "$fuzz"
		done
	done
	if [ $# -eq 0 ]; then
		echo "fuzz.sh: no fuzz test found in $PWD" >&2
		exit 1
	fi
fi
while [ $# -gt 0 ]; do
	echo "== $2 in $1, $time"
	# Minimising a long input can take the whole time.
	go test -run '^$' -fuzz "^$2\$" -fuzztime "$time" -fuzzminimizetime 10x "$1"
	shift 2
done
