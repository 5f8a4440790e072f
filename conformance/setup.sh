#!/bin/sh
# Installs what the tests need: servers and tools from Debian, typos and cargo-deny, and the published Dapr SDK packages
# that conformance compares and runs with. Idempotent. Caches below $OTTAVO_TEST_CACHE (default: target/test-cache of the
# workspace).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
export OTTAVO_TEST_CACHE="${OTTAVO_TEST_CACHE:-$root/target/test-cache}"
mkdir -p "$OTTAVO_TEST_CACHE"
missing=
for pair in redis-server:redis-server etcd:etcd-server sqlite3:sqlite3 umoci:umoci containerd:containerd runc:runc curl:curl strace:strace valgrind:valgrind wat2wasm:wabt; do
    command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
if [ -n "$missing" ]; then
    echo "== Installing from Debian:$missing"
    apt-get update -qq
    # Tests start servers of their own: those that packages would start are not wanted.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    # shellcheck disable=SC2086 # a list of packages
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null
fi
cd "$root" # for its toolchain
for target in wasm32-wasip1 wasm32-wasip2; do
    if ! rustup target list --installed | grep -q "^$target\$"; then
        echo "== Adding the target $target of the tests' WebAssembly modules"
        rustup target add "$target"
    fi
done
cargo fetch --quiet --locked --manifest-path "$root/wasm-host/tests/guests/everything/Cargo.toml" --target wasm32-wasip2
tools="$OTTAVO_TEST_CACHE/tools"
if ! "$tools/bin/typos" --version 2>/dev/null | grep -q ' 1\.52\.'; then
    echo "== Installing typos"
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check 'typos==1.52.*'
fi
if ! "$tools/bin/cargo-deny" --version 2>/dev/null | grep -q ' 0\.20\.'; then
    echo "== Building cargo-deny (about 4 minutes on 2 cores)"
    cargo install --quiet --locked --version '^0.20.2' --root "$tools" cargo-deny
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
