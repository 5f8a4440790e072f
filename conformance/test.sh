#!/bin/sh
# Installs what tests need and runs them all: formatting, unit and component tests (with real servers), wire
# definitions against published packages, and the golden answers of a real daprd against our binary.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
export OTTAVO_TEST_CACHE="${OTTAVO_TEST_CACHE:-$root/target/test-cache}"
export CARGO_INCREMENTAL=0
"$root/conformance/setup.sh"
echo "== Formatting"
cargo fmt --all --check
echo "== Building (about 5 minutes on 2 cores the first time)"
cargo build --locked --workspace --all-targets
echo "== One provider of cryptography in the tree"
if cargo tree --locked -e normal -i ring 2>/dev/null | grep -q '^ring '; then
    echo "ring is in the dependency tree beside aws-lc-rs: rustls would panic at its first use" >&2
    exit 1
fi
echo "== Tests"
cargo test --locked --workspace
echo "== First steps, on embedded defaults"
target=${CARGO_TARGET_DIR:-$root/target}
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
(cd deploy/examples/first-steps && "$target/debug/ottavo" run --data-dir "$data" --log-level error --app-port "$port" -- python3 app.py)
