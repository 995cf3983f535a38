#!/usr/bin/env bash
# Builds the image of the last commit once more, in a clone elsewhere, and compares it with the one in target/image.
set -euo pipefail
cd "$(dirname "$0")/.."

first=$1
clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT
git diff --quiet HEAD || { echo "image: there are changes that are not committed, so a clone differs"; exit 1; }
git clone -q . "$clone/elsewhere"
env -u CARGO_TARGET_DIR make -C "$clone/elsewhere" image
cmp "$first" "$clone/elsewhere/target/image/$(basename "$first")"
echo "image: both builds gave $(sha256sum <"$first" | cut -d' ' -f1)"
