#!/bin/sh
# Installs what tests need and runs them all: form, unit and component tests (with real servers), wire definitions against
# published packages, golden answers of a real daprd, real SDKs, fuzzing, the examples and the image.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
export OTTAVO_TEST_CACHE="${OTTAVO_TEST_CACHE:-$root/target/test-cache}"
export CARGO_INCREMENTAL=0
target=${CARGO_TARGET_DIR:-$root/target}
begin=$(date +%s)
step() { echo "== $1 ($(($(date +%s) - begin)) s)"; }
"$root/conformance/setup.sh"
tools="$OTTAVO_TEST_CACHE/tools/bin"
step "Formatting and spelling"
cargo fmt --all --check
"$tools/typos"
step "Building for tests (about 4 minutes on 2 cores the first time)"
cargo build --locked --workspace --all-targets
step "Clippy (about 3 minutes the first time)"
cargo clippy --locked --workspace --all-targets -- -D warnings
step "Licences, sources and banned dependencies"
"$tools/cargo-deny" --locked --log-level error check bans licenses sources
step "Building as released (about 6 minutes the first time)"
cargo build --release --locked -p gateway
step "Tests; whole processes are the release binary"
OTTAVO_BIN="$target/release/ottavo" cargo test --locked --workspace --no-fail-fast
step "Fuzzing, 20 s each"
conformance/fuzz/run.sh 20
step "First steps, on embedded defaults"
OTTAVO_BIN="$target/release/ottavo" deploy/examples/first-steps/run.sh
step "Two functions"
OTTAVO_BIN="$target/release/ottavo" deploy/examples/functions/run.sh
step "Two applications in two languages"
OTTAVO_BIN="$target/release/ottavo" deploy/examples/two-languages/run.sh
step "The image, under containerd"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
deploy/docker/image.sh --binary "$target/release/ottavo" "$work/ottavo.tar"
deploy/docker/check.sh "$work/ottavo.tar"
step "All passed"
