#!/bin/sh
# rustc for the crates of this workspace, with the coverage counters that libFuzzer reads. Build scripts and procedural
# macros run without libFuzzer, so they go without; dependencies are those of the normal dev build.
set -eu
rustc=$1
shift
case " $* " in
    *" build_script_"* | *" proc-macro "* | *" ___ "* | *" -vV "*) exec "$rustc" "$@" ;;
    *" --crate-name "*)
        exec "$rustc" "$@" \
            -Copt-level=1 -Ccodegen-units=16 \
            -Cpasses=sancov-module \
            -Cllvm-args=-sanitizer-coverage-level=4 \
            -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
            -Cllvm-args=-sanitizer-coverage-pc-table
        ;;
    *) exec "$rustc" "$@" ;;
esac
