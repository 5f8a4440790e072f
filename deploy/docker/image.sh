#!/bin/sh
# Assembles the image of the Containerfile without a daemon (Debian's umoci): an OCI archive that `ctr image import`,
# `skopeo copy oci-archive:FILE docker://...` and `podman load` take.
#
#     deploy/docker/image.sh [--binary FILE] [--tag TAG] FILE.tar
#
# --binary  the program to put in; otherwise `cargo build --profile dist` makes it
# --tag     the image's name, `ottavo:latest` unless given
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
binary= tag=ottavo:latest output=
while [ $# -gt 0 ]; do
    case $1 in
        --binary) binary=$2; shift 2 ;;
        --tag) tag=$2; shift 2 ;;
        -*) echo "image.sh: unknown option $1 (see the head of this file)" >&2; exit 2 ;;
        *) output=$1; shift ;;
    esac
done
[ -n "$output" ] || { echo "image.sh: which file shall the image be written to? (see the head of this file)" >&2; exit 2; }
command -v umoci >/dev/null || { echo "image.sh: umoci is missing: apt-get install umoci" >&2; exit 1; }
if [ -z "$binary" ]; then
    echo "== Building ottavo for an image (profile dist)"
    cargo build --profile dist --locked --manifest-path "$root/Cargo.toml" -p gateway
    binary=${CARGO_TARGET_DIR:-$root/target}/dist/ottavo
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
files=$work/files
mkdir -p "$files/etc/ssl/certs" "$files/tmp"
cp "$binary" "$files/daprd"
chmod 755 "$files/daprd"
cp -L /etc/ssl/certs/ca-certificates.crt "$files/etc/ssl/certs/"
chmod 1777 "$files/tmp"
printf 'root:x:0:0:root:/:/none\nnonroot:x:65532:65532:nonroot:/tmp:/none\n' > "$files/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' > "$files/etc/group"
# The libraries that the binary loads, and the loader itself, at their own paths.
ldd "$binary" | awk '$3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }' | sort -u | while read -r library; do
    mkdir -p "$files$(dirname "$library")"
    cp -L "$library" "$files$library"
done
# The same input gives the same layer.
find "$files" -exec touch -h -d @0 {} +
case $(uname -m) in aarch64) architecture=arm64 ;; *) architecture=amd64 ;; esac
layout=$work/layout
umoci init --layout "$layout"
umoci new --image "$layout:latest"
umoci insert --rootless --image "$layout:latest" "$files" /
umoci config --image "$layout:latest" --architecture "$architecture" --os linux \
    --config.user 65532:65532 --config.workingdir / --config.cmd /daprd \
    --config.label org.opencontainers.image.title=ottavo \
    --config.label org.opencontainers.image.licenses=Apache-2.0
umoci gc --layout "$layout"
sed -i "s|\"org.opencontainers.image.ref.name\":\"latest\"|\"org.opencontainers.image.ref.name\":\"$tag\"|" "$layout/index.json"
tar -C "$layout" -cf "$output" .
echo "$output: $tag, $(du -k "$output" | cut -f1) KiB packed, $(du -sk "$files" | cut -f1) KiB unpacked; the binary $(stat -c %s "$binary") bytes"
