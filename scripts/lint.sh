#!/bin/sh
# Checks the code without running it: gofmt, vet (here and for the systems that CI does not run), staticcheck, actionlint,
# and whether go.mod, go.sum and go.work.sum are tidy.
set -eu
cd "$(dirname "$0")/.."
staticcheck=v0.8.2
actionlint=v1.7.12

unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
	echo "not formatted by gofmt:" >&2
	echo "$unformatted" >&2
	exit 1
fi
go vet work
go vet -tags nodocker ./harness/cmd/harness
GOOS=darwin GOARCH=arm64 go vet work
GOOS=windows GOARCH=amd64 go vet work
# shellcheck disable=SC2046 # one word per package
go run honnef.co/go/tools/cmd/staticcheck@$staticcheck $(go list work)
# Without shellcheck and pyflakes, so that the result does not depend on what the machine has.
go run github.com/rhysd/actionlint/cmd/actionlint@$actionlint -shellcheck= -pyflakes=
sh scripts/tidy.sh -check
