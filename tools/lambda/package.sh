#!/usr/bin/env bash
# Packages the function for Lambda: target/lambda/rerank.zip with `bootstrap`, linked statically.
#
#     tools/lambda/package.sh
set -euo pipefail
cd "$(dirname "$0")"
cargo build --release --locked
program=target/x86_64-unknown-linux-gnu/release/bootstrap
if readelf -d $program | grep NEEDED; then echo "not static"; exit 1; fi
mkdir -p target/lambda
cp $program target/lambda
(cd target/lambda && rm -f rerank.zip && python3 -m zipfile -c rerank.zip bootstrap)
stat -c '%n: %s bytes' target/lambda/*
