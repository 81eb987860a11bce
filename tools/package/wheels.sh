#!/usr/bin/env bash
# Builds a release's wheels for Linux and its source archive in target/wheels, and checks them.
#
#     [PROFILE=dist] tools/package/wheels.sh TARGET...
#
# TARGET is Rust's: *-unknown-linux-gnu for manylinux2014, *-unknown-linux-musl for musllinux. zig
# links, so that one machine builds them all. PATH has maturin with zig, and what check_wheel.sh
# needs (requirements.txt here).
set -euo pipefail
cd "$(dirname "$0")/../.."
out=target/wheels
rm -rf $out
for target; do
    case $target in
        *-musl) compatibility=musllinux_1_2 ;;
        *) compatibility=manylinux2014 ;;
    esac
    [ -d "$(rustc --print target-libdir --target "$target")" ] || rustup target add "$target"
    maturin build --quiet --profile "${PROFILE:-dist}" --locked -m tools/python/Cargo.toml --zig \
        --target "$target" --compatibility $compatibility --out $out --compression-level 9
done
maturin sdist --quiet -m tools/python/Cargo.toml --out $out
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar -xzf $out/*.tar.gz -C "$work"
(cd "$work"/* && cargo metadata --locked --format-version 1 >/dev/null)
twine check --strict $out/*.tar.gz
for wheel in $out/*.whl; do
    tools/package/check_wheel.sh "$wheel"
done
