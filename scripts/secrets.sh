#!/bin/sh
# Makes the secrets of docker/compose.production.yml: random keys and passwords, one file each, in docker/secrets or the
# directory SECRETS. It keeps the files that exist. Delete a file, and those that contain its value, to get another.
#
# The directory can be read by its owner only. The files can be read by everybody who reaches them, since the programs in the
# containers run as other users.
set -eu
cd "$(dirname "$0")/.."
dir=${SECRETS:-docker/secrets}
case ${SECRETS:-/} in
/*) ;;
*)
	echo "scripts/secrets.sh: SECRETS must be an absolute path: Compose takes another one as relative to docker/" >&2
	exit 2
	;;
esac
mkdir -p "$dir"
chmod 700 "$dir"

# put NAME VALUE: writes a file that does not exist yet.
put() {
	[ ! -e "$dir/$1" ] || return 0
	printf '%s\n' "$2" >"$dir/$1.new"
	chmod 644 "$dir/$1.new"
	mv "$dir/$1.new" "$dir/$1"
	echo "made $dir/$1"
}
random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
get() { cat "$dir/$1"; }

for name in event_key signing_key api_token link_key operator_password redis_password postgres_password \
	mongo_root_password mongo_app_password mongo_keyfile; do
	put $name "$(random)"
done
put mail_password "" # of MAIL_USER
put signing_key_fallback "$(get signing_key)" # the previous ones, while they are rotated
put api_token_fallback "$(get api_token)"

# Files that the servers read contain the passwords.
put redis "requirepass $(get redis_password)"
put mongodb_uri "mongodb://app:$(get mongo_app_password)@mongo:27017/maintenance?replicaSet=rs0"
put inngest "event-key: [\"$(get event_key)\"]
signing-key: \"$(get signing_key)\"
redis-uri: redis://:$(get redis_password)@redis:6379
postgres-uri: postgres://inngest:$(get postgres_password)@postgres:5432/inngest?sslmode=disable"

# The balancer keeps only a hash of the password. Caddy makes it, in the image that the compose file names.
if [ ! -e "$dir/operators" ]; then
	image=$(COMPOSE_FILE=${COMPOSE_FILE:-docker/compose.production.yml} sh scripts/compose.sh --profile production config --images |
		grep 'caddy:')
	hash=$(docker run --rm --interactive --network none "$image" caddy hash-password --bcrypt-cost 10 <"$dir/operator_password")
	put operators "operator $hash"
fi
