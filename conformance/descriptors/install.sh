#!/usr/bin/env bash
# Installs the published packages that proto-dapr/tests/it compares our wire definitions with:
# a Python venv, node_modules, and a Go program which links Dapr's runtime definitions.
# Everything goes below $OTTAVO_TEST_CACHE (an absolute path; default: target/test-cache of the workspace).
# Running it again does only what is missing. Needs python3 with venv, node with npm, and go.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${OTTAVO_TEST_CACHE:-$here/../../target/test-cache}/descriptors
mkdir -p "$cache/npm"
cache=$(cd "$cache" && pwd)

[ -x "$cache/venv/bin/pip" ] || python3 -m venv "$cache/venv"
"$cache/venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"

# The stamp is written last: an interrupted install starts again.
if ! cmp -s "$here/package.json" "$cache/npm/installed.json"; then
  cp "$here/package.json" "$cache/npm/package.json"
  npm install --prefix "$cache/npm" --ignore-scripts --no-audit --no-fund --loglevel=error
  cp "$here/package.json" "$cache/npm/installed.json"
fi

# -modcacherw: a cache folder that `rm -rf` can remove.
export GOMODCACHE="$cache/go-mod" GOFLAGS="${GOFLAGS:-} -modcacherw"
(cd "$here" && go build -o "$cache/go-descriptors" .)
