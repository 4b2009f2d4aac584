#!/bin/sh
# Tidies every go.mod and go.sum, also those of the database, and go.work.sum; with -check it changes nothing and fails where one is not tidy.
#
# The modules name each other by a version that no registry has yet, and published go.mod files may hold no replace
# directive: so tidy works on a copy that has them.
set -eu
cd "$(dirname "$0")/.."
module=github.com/odoo-maintenance/inngest-harness
check=${1:-}
status=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# put FROM TO: replaces a file, or says that it differs.
put() {
	cmp -s "$1" "$2" && return
	if [ "$check" = -check ]; then
		echo "$2 is not tidy: run sh scripts/tidy.sh" >&2
		status=1
	else
		cp "$1" "$2"
	fi
}

for dir in docs fixtures harness harness/containers app harness/cmd/harness e2e examples/go-nethttp; do
	cp "$dir/go.mod" "$tmp/go.mod"
	rm -f "$tmp/go.sum"
	[ ! -f "$dir/go.sum" ] || cp "$dir/go.sum" "$tmp/go.sum"
	for sibling in app docs fixtures harness harness/containers; do
		[ "$sibling" = "$dir" ] || go mod edit -replace "$module/$sibling=$PWD/$sibling" "$tmp/go.mod"
	done
	(cd "$dir" && GOWORK=off GOFLAGS=-mod=mod go mod tidy -modfile="$tmp/go.mod")
	for sibling in app docs fixtures harness harness/containers; do
		go mod edit -dropreplace "$module/$sibling" "$tmp/go.mod"
	done
	put "$tmp/go.mod" "$dir/go.mod"
	[ ! -s "$tmp/go.sum" ] || put "$tmp/go.sum" "$dir/go.sum"
done

# The database is compiled beside the command, and shares with it what both use in one version.
mkdir "$tmp/ferretdb"
for file in harness/tools/ferretdb/*.txt; do cp "$file" "$tmp/ferretdb/$(basename "$file" .txt)"; done
# shellcheck disable=SC2046 # one word per module
go list -m -e -f '{{.Path}} {{.Version}}' $(awk '/^\t[a-z]/ { print $1 }' */go.mod harness/*/go.mod harness/cmd/harness/go.mod | sort -u) >"$tmp/versions"
(
	cd "$tmp/ferretdb"
	export GOWORK=off GOFLAGS=-mod=mod
	shared=$(awk 'NR == FNR { version[$1] = $2; next } /^\t/ && version[$1] != "" { print $1 "@" version[$1] }' "$tmp/versions" go.mod)
	# shellcheck disable=SC2086 # one word per module
	go get $shared
	go mod tidy
)
put "$tmp/ferretdb/go.mod" harness/tools/ferretdb/go.mod.txt
put "$tmp/ferretdb/go.sum" harness/tools/ferretdb/go.sum.txt

# The go command adds to go.work.sum what it needs to list all modules, as go doc does, too.
cp go.work.sum "$tmp/before"
go list -m -e all >/dev/null
cp go.work.sum "$tmp/after"
[ "$check" != -check ] || cp "$tmp/before" go.work.sum
put "$tmp/after" go.work.sum
exit $status
