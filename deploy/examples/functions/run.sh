#!/bin/sh
# Builds Ottavo and runs two functions in it: one saves what it is sent and publishes that, the other listens.
# The modules are WebAssembly text; `wat2wasm` (of wabt) makes them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
command -v wat2wasm > /dev/null || { echo "wat2wasm is missing: install wabt" >&2; exit 1; }
echo "== Building ottavo (release; about 6 minutes on 2 cores the first time)"
cargo build --release --locked --manifest-path "$root/Cargo.toml" -p gateway
target=${CARGO_TARGET_DIR:-$root/target}
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
cp -r "$here/resources" "$data/resources"
for module in notes audit; do
  wat2wasm "$here/$module.wat" -o "$data/resources/$module.wasm"
done
echo "== Running the functions"
cd "$data"
"$target/release/ottavo" run --data-dir "$data/state" --log-level error -- sh "$here/calls.sh"
