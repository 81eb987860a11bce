#!/usr/bin/env bash
# Makes the files of a release for one target, in target/files: an archive of the program and, on
# Debian's kin, a Debian package.
#
#     [PROGRAM=target/release/lanerank] tools/package/files.sh [TARGET]
#
# Builds the program first unless PROGRAM is one. It must run here: it prints its own manual pages
# and completions. TARGET is this machine's unless given.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${1:-$(rustc -vV | sed -n 's/^host: //p')}
version=$(cargo metadata --locked --no-deps --format-version 1 |
    python3 -c 'import json, sys
packages = json.load(sys.stdin)["packages"]
print(next(p["version"] for p in packages if p["name"] == "lanerank-cli"))')
program=${PROGRAM:-}
if [ -z "$program" ]; then
    cargo build --profile dist --locked -p lanerank-cli --features full --target "$target"
    program=target/$target/dist/lanerank
fi
out=$PWD/target/files name=lanerank-v$version-$target
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

folder=$work/$name
mkdir -p "$folder/completions" "$folder/man"
install -m 755 -s "$program" "$folder/lanerank"
cp README.md CHANGELOG.md LICENSE-* src/assets/MODEL_CARD.md "$folder"
python3 tools/package/notices.py "$target" >"$folder/THIRD-PARTY.txt"
"$program" man "$folder/man"
"$program" completions bash >"$folder/completions/lanerank.bash"
"$program" completions zsh >"$folder/completions/_lanerank"
"$program" completions fish >"$folder/completions/lanerank.fish"
time=$(git log -1 --format=%ct)
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$time" -c "$name" |
    gzip -9n >"$out/$name.tar.gz"

if command -v dpkg-shlibdeps >/dev/null; then
    tools/package/debian.sh "$folder" "$version" "$out"
else
    echo "no dpkg-shlibdeps: the Debian package SKIPPED"
fi
ls -l "$out"
