#!/bin/sh
# Installs or builds the programs of conformance/sdk below $OTTAVO_TEST_CACHE/sdk/<language>: everything at the exact
# versions of the committed lock files. Running it again does only what is missing or changed.
# setup.sh [LANGUAGE ...]: only these. Needs python3 with venv, node with npm, go, cargo, and a JDK with Maven.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache="${OTTAVO_TEST_CACHE:-$here/../../target/test-cache}/sdk"
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

python() {
    [ -x "$folder/bin/pip" ] || python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/python/requirements.txt"
}

javascript() {
    cp "$here/javascript/package.json" "$here/javascript/package-lock.json" "$folder/"
    npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel=error
}

go() {
    # -modcacherw: a cache that `rm -rf` can remove.
    (cd "$here/go" && GOMODCACHE="$folder/modules" GOFLAGS=-modcacherw command go build -o "$folder/program" .)
}

rust() {
    export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$here/../../target}"
    cargo build --quiet --locked --manifest-path "$here/rust/Cargo.toml"
    cp "$CARGO_TARGET_DIR/debug/sdk-rust" "$folder/program"
}

java() {
    # The goals by themselves: the whole life cycle would fetch plugins for tests and resources that there are none of.
    rm -rf "$folder/lib"
    mvn --quiet --batch-mode -Dstyle.color=never --file "$here/java/pom.xml" -Dmaven.repo.local="$folder/repository" \
        -Dbuild.folder="$folder/build" -DoutputDirectory="$folder/lib" \
        compiler:compile jar:jar dependency:copy-dependencies
    cp "$folder/build/sdk-java-0.1.0.jar" "$folder/program.jar"
}

# What decides whether `language` has to be installed again: the whole of a program that is built, the lock file of
# one that is not.
inputs() {
    case $1 in
    python) echo requirements.txt ;;
    javascript) echo package-lock.json ;;
    *) find . -type f ! -path './target/*' ! -name facts.txt | LC_ALL=C sort ;;
    esac
}

for language in ${*:-python javascript go rust java}; do
    folder="$cache/$language"
    mkdir -p "$folder"
    # The stamp is written last: an interrupted installation starts again.
    stamp=$(cd "$here/$language" && inputs "$language" | xargs sha256sum)
    if [ "$stamp" != "$(cat "$folder/installed" 2>/dev/null)" ]; then
        echo "== Installing the SDK for $language and its program"
        "$language"
        printf '%s\n' "$stamp" >"$folder/installed"
    fi
done
