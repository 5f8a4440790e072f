#!/bin/sh
# Runs one program by hand: run.sh LANGUAGE http|grpc [PROGRAM]
# PROGRAM is the sidecar, an ottavo or a daprd (default: $OTTAVO_BIN, else target/debug/ottavo of the workspace).
# The exit code is that of the program; the sidecar's log is shown when it is not 0.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
language=$1 protocol=$2
target=${CARGO_TARGET_DIR:-$here/../../target}
sidecar=${3:-${OTTAVO_BIN:-$target/debug/ottavo}}
export OTTAVO_TEST_CACHE="${OTTAVO_TEST_CACHE:-$here/../../target/test-cache}"
cache="$OTTAVO_TEST_CACHE/sdk/$language"
folder=$(mktemp -d)
ln -s "$sidecar" "$folder/daprd"
# shellcheck disable=SC2046
set -- $(python3 -c 'import socket
sockets = [socket.socket() for _ in range(6)]
[s.bind(("127.0.0.1", 0)) for s in sockets]
print(*(s.getsockname()[1] for s in sockets))')
export APP_ID="sdk-$language" APP_PORT="$1" APP_PROTOCOL="$protocol" DAPR_HTTP_PORT="$2" DAPR_GRPC_PORT="$3"
cd "$here"
"$folder/daprd" --app-id "$APP_ID" --app-port "$APP_PORT" --app-protocol "$protocol" \
    --dapr-http-port "$DAPR_HTTP_PORT" --dapr-grpc-port "$DAPR_GRPC_PORT" --dapr-internal-grpc-port "$4" --metrics-port "$5" \
    --dapr-public-port "$6" --dapr-listen-addresses 127.0.0.1 --resources-path "$here/resources" --log-level debug \
    >"$folder/log" 2>&1 &
daprd=$!
trap 'kill $daprd 2>/dev/null || true; rm -rf "$folder"' EXIT
code=0
case $language in
python) "$cache/bin/python" -B python/main.py || code=$? ;;
javascript) NODE_PATH="$cache/node_modules" node javascript/main.js || code=$? ;;
go | rust) "$cache/program" || code=$? ;;
java) java -cp "$cache/program.jar:$cache/lib/*" ottavo.sdk.Main || code=$? ;;
*) echo "$language has no program here" >&2 && exit 2 ;;
esac
[ "$code" = 0 ] || cat "$folder/log" >&2
exit "$code"
