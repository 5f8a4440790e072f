#!/bin/sh
# Builds Ottavo, or takes that of OTTAVO_BIN, and runs two functions in it: one saves what it is sent and publishes that, the
# other listens.
# The modules are WebAssembly text; `wat2wasm` (of wabt) makes them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
command -v wat2wasm > /dev/null || { echo "wat2wasm is missing: install wabt" >&2; exit 1; }
if [ -z "${OTTAVO_BIN:-}" ]; then
    echo "== Building ottavo (about 8 minutes on 2 cores the first time)"
    cargo build --profile quick --locked --manifest-path "$root/Cargo.toml" -p gateway
    OTTAVO_BIN=${CARGO_TARGET_DIR:-$root/target}/quick/ottavo
fi
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
cp -r "$here/resources" "$data/resources"
for module in notes audit; do
  wat2wasm "$here/$module.wat" -o "$data/resources/$module.wasm"
done
echo "== Running the functions"
cd "$data"
"$OTTAVO_BIN" run --data-dir "$data/state" --log-level error -- sh "$here/calls.sh"
