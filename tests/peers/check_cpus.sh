#!/usr/bin/env bash
# Checks the release binary on CPUs without AVX-512, AVX2 and AVX, and on aarch64 with and without
# `dotprod` and `i8mm`, with QEMU's user-mode emulation on x86-64 Linux.
#
#     tests/peers/check_cpus.sh [target/release/lanerank]
#
# Installs missing packages from Debian, as root: qemu-user, a cross linker, and, if rustc has no
# library for aarch64, the Rust that Debian keeps for its web browsers.
set -euo pipefail
cd "$(dirname "$0")/../.."
binary=$(realpath "${1:-target/release/lanerank}")
unset LANERANK_ISA LANERANK_MODEL LANERANK_REQUIRE_ISA LANERANK_REQUIRE_EMULATED_ISA
step() { printf '\n+ %s\n' "$*"; "$@"; }
fail() { echo "FAILED: $*"; exit 1; }
need() { # COMMAND-OR-FILE PACKAGE..
    local what=$1; shift
    command -v "$what" >/dev/null || [ -e "$what" ] ||
        step apt-get install -qq -y --no-install-recommends "$@"
}

step apt-get update -qq
need qemu-x86_64 qemu-user

work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
passages=$work/passages.txt
head -40 tests/data/tokenizer/udhr_english.txt >"$passages"
for dtype in int8 f32; do
    "$binary" convert tests/data/model/two-labels -o "$work/$dtype.lane" --dtype $dtype >/dev/null
done
# JSON has every bit of an int8 file's scores; float files agree in the displayed digits.
query='everyone has the right to rest'
scores() { # RUN..
    "$@" rerank --json --query "$query" "$passages"
    "$@" rerank --json --model "$work/int8.lane" --query "$query" "$passages"
    "$@" rerank --model "$work/f32.lane" --query "$query" "$passages"
}
scores "$binary" >"$work/native"
compare() { # NAME RUN..
    local name=$1; shift
    scores "$@" >"$work/other"
    cmp "$work/native" "$work/other" || fail "$name scores differently"
    echo "$name: the same scores"
}

for cpu in Penryn:portable Nehalem:portable Haswell:avx2 Skylake-Client-noTSX-IBRS:avx2; do
    name=${cpu%:*} tier=${cpu#*:}
    printf '\n+ %s\n' "$name"
    run="qemu-x86_64 -cpu $name $binary"
    compare "$name" $run 2>"$work/warnings" || { cat "$work/warnings"; exit 1; }
    $run inspect --check --json 2>/dev/null | grep -q "\"kernels\": \"$tier\"" ||
        fail "$name does not use $tier"
    for missing in avx2 avx_vnni avx512_vnni amx_int8; do
        [ $missing != "$tier" ] || continue
        status=0; LANERANK_ISA=$missing $run inspect --check >/dev/null 2>"$work/error" || status=$?
        [ $status = 2 ] && grep -q "cannot run the $missing kernels" "$work/error" ||
            { cat "$work/error"; fail "$name with LANERANK_ISA=$missing: exit code $status"; }
    done
done
# Without the tests of the scalar functions against f64, which would take hours in software floats.
tests=(--lib --test tiers --test values)
for cpu in Penryn:portable Haswell:portable,avx2; do
    printf '\n+ kernels on %s' "${cpu%:*}"
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="qemu-x86_64 -cpu ${cpu%:*}" \
        LANERANK_REQUIRE_ISA=${cpu#*:} step cargo test --locked -p lanerank-kernels "${tests[@]}"
done

target=aarch64-unknown-linux-gnu
need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu libc6-dev-arm64-cross
need qemu-aarch64 qemu-user
cargo=cargo
if ! [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ]; then
    need /usr/bin/cargo cargo-web rustc-web
    if ! [ -d /usr/lib/rustlib/$target ]; then
        step dpkg --add-architecture arm64
        step apt-get update -qq
        step apt-get install -qq -y --no-install-recommends libstd-rust-web-dev:arm64
    fi
    cargo=/usr/bin/cargo
    export RUSTC=/usr/bin/rustc CARGO_TARGET_DIR=target/debian
    step $RUSTC --version
fi
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
# Static: QEMU 7.2 hangs in the shared glibc's pthread_create.
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C target-feature=+crt-static"
runner=CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER
step $cargo build --release --locked --target $target -p lanerank-cli
program=${CARGO_TARGET_DIR:-target}/$target/release/lanerank
for cpu in cortex-a53:neon neoverse-n1:neon_dotprod max:neon_i8mm; do
    name=${cpu%:*} tier=${cpu#*:}
    printf '\n+ aarch64, %s\n' "$name"
    export $runner="qemu-aarch64 -cpu $name"
    compare "$name" qemu-aarch64 -cpu "$name" "$program"
    qemu-aarch64 -cpu "$name" "$program" inspect --check --json |
        grep -q "\"kernels\": \"$tier\"" || fail "$name does not choose $tier"
    # All tiers up to this one.
    LANERANK_REQUIRE_ISA=portable,$tier step $cargo test --locked --target $target \
        -p lanerank-kernels "${tests[@]}"
done
step $cargo test --locked --target $target -p lanerank \
    --test embedded --test scores --test tokenizer_golden
