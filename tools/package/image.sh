#!/usr/bin/env bash
# Builds the container image `lanerank serve` for several architectures as one manifest, `lanerank`,
# from static programs (tools/kubernetes/Containerfile): nothing of an image is run.
#
#     tools/package/image.sh ARCHITECTURE...
#
# ARCHITECTURE is Rust's: x86_64, aarch64. The programs lie in target/*/dist. BUILDAH has options.
set -euo pipefail
cd "$(dirname "$0")/../.."
read -ra options <<<"${BUILDAH:-}"
buildah "${options[@]}" manifest create lanerank
for arch; do
    target=$arch-unknown-linux-gnu program=target/$arch-unknown-linux-gnu/dist/lanerank
    ! readelf -d "$program" | grep NEEDED || { echo "$program is not static"; exit 1; }
    case $arch in
        x86_64) platform=linux/amd64 ;;
        aarch64) platform=linux/arm64 ;;
        *) echo "unknown architecture $arch"; exit 2 ;;
    esac
    buildah "${options[@]}" bud --quiet --isolation chroot --platform $platform \
        --build-arg TARGET="$target" --manifest lanerank -f tools/kubernetes/Containerfile .
done
buildah "${options[@]}" manifest inspect lanerank
