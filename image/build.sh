#!/usr/bin/env bash
# Builds the operator as a static binary for a target, the same bytes wherever the repository lies, and lays out the files of its
# image:
#   image/build.sh x86_64-unknown-linux-musl ROOT
# Needs the target's standard library (rustup target add TARGET) and, for ring, a C compiler for the target's processor.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$1 root=$2
created=${SOURCE_DATE_EPOCH:-0}
# No part of the binary depends on it, but packages with C in them are built anew whenever it changes.
unset SOURCE_DATE_EPOCH
cargo=${CARGO:-cargo}
built=${CARGO_TARGET_DIR:-target}
compiler=${CC:-cc}
case $target in
x86_64-unknown-linux-musl) processor=x86_64 ;;
aarch64-unknown-linux-musl) processor=aarch64 ;;
*) echo "image: there is no image for $target"; exit 1 ;;
esac
if [ "$processor" != "$(uname -m)" ]; then
  compiler=$processor-linux-gnu-gcc
fi
command -v "$compiler" >/dev/null || { echo "image: $compiler is missing: apt-get install gcc gcc-aarch64-linux-gnu"; exit 1; }
libraries=$(rustc --print target-libdir --target "$target")
ls "$libraries"/libstd-*.rlib >/dev/null 2>&1 || { echo "image: the standard library of $target is missing: rustup target add $target"; exit 1; }

# ring's few C files need no C library, and mimalloc's call what every one has by the same name, so a compiler for glibc will do; it
# must not put glibc's checks into them, nor the time at which it runs.
name=${target//-/_}
export "CC_$name=$compiler" "CFLAGS_$name=-std=gnu11 -Wno-builtin-macro-redefined -D__DATE__=\"\" -D__TIME__=\"\" -U_FORTIFY_SOURCE -fno-stack-protector -ffile-prefix-map=$PWD=. -ffile-prefix-map=${CARGO_HOME:-$HOME/.cargo}=cargo"
# The linker that comes with Rust links for every target, folds what is there twice and packs relocations, so that the image does
# not depend on the machine's. Paths of this machine are in no message of the program.
rust=$(rustc --print sysroot)
export CARGO_ENCODED_RUSTFLAGS
CARGO_ENCODED_RUSTFLAGS=$(printf '%s\x1f' \
  -Clinker=rust-lld -Clink-self-contained=yes -Ctarget-feature=+crt-static \
  -Clink-arg=--icf=all -Clink-arg=--pack-dyn-relocs=relr -Clink-arg=--build-id=none \
  "--remap-path-prefix=$PWD=." "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo" "--remap-path-prefix=$rust=rust")
CARGO_ENCODED_RUSTFLAGS=${CARGO_ENCODED_RUSTFLAGS%$'\x1f'}
"$cargo" build --locked --release --target "$target" --bin external-cloud-secrets
unset CARGO_ENCODED_RUSTFLAGS
"$cargo" build --locked -p image
"$built/debug/image" files --binary "$built/$target/release/external-cloud-secrets" --target "$target" --created "$created" --root "$root"
