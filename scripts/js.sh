#!/bin/sh
# Checks the npm package in harness/js: builds the harness, installs what the package's tests need, builds the package, and runs
# its tests on real stacks, with Vitest, Jest and Node's own runner, from the source and from the packages of a release.
set -eu
cd "$(dirname "$0")/.."
export HARNESS_BIN="$PWD/bin/harness"
CGO_ENABLED=0 go build -trimpath -o "$HARNESS_BIN" ./harness/cmd/harness
cd harness/js
npm ci --ignore-scripts --prefer-offline --no-audit --no-fund
npm test
