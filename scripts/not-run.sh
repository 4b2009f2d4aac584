#!/bin/sh
# The last lines of `make test`: on which backends the tests ran, on which database, and what was left out and why.
set -eu
backends=${HARNESS_BACKENDS:-${HARNESS_BACKEND:-local}}
echo
echo "ran on: $backends"
case ",$backends," in
*,containers,*)
	case "${HARNESS_IMAGE_MONGO:-mongo:}" in
	mongo:* | */mongo:[0-9]*) echo "database: MongoDB itself on containers" ;;
	*) echo "database: ${HARNESS_IMAGE_MONGO} on containers, a build of FerretDB, which stands in for MongoDB" ;;
	esac
	;;
*) echo "not run: containers, since HARNESS_BACKENDS does not name it (needs Docker): HARNESS_BACKENDS=local,containers make test" ;;
esac
case ",$backends," in
*,local,*)
	if [ -n "${MONGOD_BIN:-}" ]; then
		echo "database: MongoDB itself on local ($MONGOD_BIN)"
	else
		echo "database: FerretDB on local, which stands in for MongoDB; MONGOD_BIN or the official image runs MongoDB itself"
	fi
	;;
esac
echo "not run: the race detector, use as a dependency, browsers: make check, make browser"
