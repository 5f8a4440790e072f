#!/bin/sh
# Builds Ottavo, or takes that of OTTAVO_BIN, and runs a small application beside it: state saved, a message published
# and received.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
if [ -z "${OTTAVO_BIN:-}" ]; then
    echo "== Building ottavo (about 8 minutes on 2 cores the first time)"
    cargo build --profile quick --locked --manifest-path "$root/Cargo.toml" -p gateway
    OTTAVO_BIN=${CARGO_TARGET_DIR:-$root/target}/quick/ottavo
fi
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
echo "== Running: ottavo run --app-port $port -- python3 app.py"
cd "$here"
"$OTTAVO_BIN" run --data-dir "$data" --log-level error --app-port "$port" -- python3 app.py
