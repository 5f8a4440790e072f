#!/bin/sh
# Builds Ottavo and runs a small application beside it: state saved, a message published and received.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
echo "== Building ottavo (release; about 6 minutes on 2 cores the first time)"
cargo build --release --locked --manifest-path "$root/Cargo.toml" -p gateway
target=${CARGO_TARGET_DIR:-$root/target}
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
echo "== Running: ottavo run --app-port $port -- python3 app.py"
cd "$here"
"$target/release/ottavo" run --data-dir "$data" --log-level error --app-port "$port" -- python3 app.py
