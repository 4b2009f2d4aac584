#!/bin/sh
# Builds what a release has into dist, or another directory: for each system an archive with the static programs app and harness
# and, beside harness, the servers that it would have to build (MailHog and the stand-in for MongoDB), the components of each
# program (SBOM, CycloneDX), and SHA256SUMS over all files.
#
#   sh scripts/release.sh v0.1.0
#   PLATFORMS=linux/amd64 sh scripts/release.sh v0.1.0 DIRECTORY   for one of the systems
set -eu
cd "$(dirname "$0")/.."
sbom=github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
platforms=${PLATFORMS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64}
version=${1:-}
case $version in
v[0-9]*.[0-9]*.[0-9]*) ;;
*)
	echo "release.sh: the version is \"$version\": it must be one such as v0.1.0" >&2
	exit 2
	;;
esac

dist=${2:-dist}
rm -rf "$dist"
mkdir -p "$dist"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# components PROGRAM FLAG…: writes the list of its components.
components() {
	program=$1
	shift
	GOWORK=off GOFLAGS='' go run $sbom bin -json -licenses=false "$@" -output "$dist/$name-$(basename "$program" .exe).cdx.json" "$program"
}

for platform in $platforms; do
	os=${platform%/*} arch=${platform#*/}
	name=inngest-harness-$version-$os-$arch
	echo "== $platform"
	mkdir "$scratch/$name"
	CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -trimpath -gcflags=all=-dwarf=false -ldflags="-s -w" -o "$scratch/$name/" ./app/cmd/app ./harness/cmd/harness
	for program in "$scratch/$name"/*; do
		components "$program" -version "$version"
	done
	go run ./harness/internal/toolchain/cmd/prebuild "$scratch/$name/servers" "$os" "$arch"
	for license in "$scratch/$name"/servers/*-LICENSE; do # each server has one
		program=${license%-LICENSE}
		[ -f "$program" ] || program=$program.exe
		components "$program"
	done
	cp LICENSE README.md CHANGELOG.md "$scratch/$name"
	# The same times and owners each time, so that the same sources make the same archive.
	tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$scratch" -cf - "$name" | gzip -n >"$dist/$name.tar.gz"
done
(cd "$dist" && sha256sum -- *.tar.gz *.json >SHA256SUMS)
ls -l "$dist"
