#!/bin/sh
# Tidies every go.mod, or with -check says which are not tidy. The modules name each other by a version that no
# registry has yet, and published go.mod files may hold no replace directive: so tidy works on a copy that has them.
set -eu
cd "$(dirname "$0")/.."
module=github.com/odoo-maintenance/inngest-harness
status=0
for dir in fixtures harness harness/containers app harness/cmd/harness e2e; do
  tmp=$(mktemp -d)
  cp "$dir/go.mod" "$tmp/go.mod"
  if [ -f "$dir/go.sum" ]; then cp "$dir/go.sum" "$tmp/go.sum"; fi
  for sibling in app fixtures harness harness/containers; do
    if [ "$sibling" != "$dir" ]; then
      go mod edit -replace "$module/$sibling=$PWD/$sibling" "$tmp/go.mod"
    fi
  done
  (cd "$dir" && GOWORK=off GOFLAGS=-mod=mod go mod tidy -modfile="$tmp/go.mod")
  for sibling in app fixtures harness harness/containers; do
    go mod edit -dropreplace "$module/$sibling" "$tmp/go.mod"
  done
  touch "$tmp/go.sum"
  for file in go.mod go.sum; do
    if [ "$file" = go.sum ] && [ ! -s "$tmp/go.sum" ]; then continue; fi
    if cmp -s "$tmp/$file" "$dir/$file"; then continue; fi
    if [ "${1:-}" = -check ]; then
      echo "$dir/$file is not tidy: run make tidy" >&2
      status=1
    else
      cp "$tmp/$file" "$dir/$file"
    fi
  done
  rm -rf "$tmp"
done
exit $status
