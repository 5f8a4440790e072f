#!/bin/sh
# Installs what the tests need: Debian's redis-server and etcd-server, and the published Dapr SDK packages that conformance compares
# with. Idempotent. Caches below $OTTAVO_TEST_CACHE (default: target/test-cache of the workspace).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
export OTTAVO_TEST_CACHE="${OTTAVO_TEST_CACHE:-$root/target/test-cache}"
mkdir -p "$OTTAVO_TEST_CACHE"
if ! command -v redis-server >/dev/null || ! command -v etcd >/dev/null; then
    echo "== Installing redis-server and etcd-server"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq redis-server etcd-server >/dev/null
fi
echo "== Installing the published packages that wire definitions are compared with"
"$root/conformance/descriptors/install.sh"
"$root/conformance/sdk/setup.sh"
golden="$OTTAVO_TEST_CACHE/golden"
if [ ! -x "$golden/bin/python" ] || ! "$golden/bin/python" -c 'import dapr, grpc, yaml' 2>/dev/null; then
    echo "== Installing what replays golden answers"
    python3 -m venv "$golden"
    "$golden/bin/pip" install --quiet --disable-pip-version-check 'dapr[grpc]==1.19.0' 'PyYAML>=6'
fi
