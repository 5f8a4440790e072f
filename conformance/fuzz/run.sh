#!/bin/sh
# Searches for input that breaks the gateway: run.sh [SECONDS], so long for each target (600 by default). Begins with
# the committed corpus; ends with an error, and shows the input, when one breaks a target.
set -eu
seconds=${1:-600}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}"
# Dependencies are those of the normal dev build, but for the YAML parser, which is most of the work of its target.
RUSTC_WORKSPACE_WRAPPER="$here/instrument.sh" cargo build --locked -p fuzz --features libfuzzer --bins \
    --config 'profile.dev.package.granit-parser.opt-level=2' --config 'profile.dev.package.serde-saphyr.opt-level=2'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for target in router envelope resources functions modules pairs; do
    echo "== Fuzzing $target for $seconds seconds"
    mkdir -p "$work/$target/found"
    if ! "$CARGO_TARGET_DIR/debug/fuzz-$target" -max_total_time="$seconds" -max_len=4096 -timeout=20 -rss_limit_mb=2048 \
        -print_final_stats=1 -verbosity=0 -artifact_prefix="$work/$target/" "$work/$target/found" "$here/corpus/$target" \
        2>"$work/$target/log"; then
        tail -n 60 "$work/$target/log" >&2
        for input in "$work/$target"/crash-* "$work/$target"/timeout-* "$work/$target"/oom-*; do
            [ -e "$input" ] || continue
            echo "This input breaks $target; keep it as a file of $here/corpus/$target:" >&2
            od -A d -c "$input" | head -n 200 >&2
            echo "base64: $(base64 -w 0 "$input")" >&2
        done
        exit 1
    fi
    grep -E '^stat::(number_of_executed_units|average_exec_per_sec|peak_rss_mb)' "$work/$target/log" || true
done
