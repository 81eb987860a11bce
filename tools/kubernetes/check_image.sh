#!/usr/bin/env bash
# Builds the image of Containerfile, and runs the server in the image's root, as its user.
#
#     tools/kubernetes/check_image.sh
#
# Run as root on Linux. buildah builds the image (installed from Debian if missing); `chroot` stands
# in for a container.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v buildah >/dev/null || {
    apt-get update -qq
    apt-get install -qq -y --no-install-recommends buildah
}
target=x86_64-unknown-linux-gnu port=${PORT:-18932}
RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --profile dist --locked -p lanerank-cli --features full --target $target

work=$(mktemp -d) server=
trap '[ -z "$server" ] || kill $server 2>/dev/null; rm -rf "$work"' EXIT
storage=(--root "$work/storage" --runroot "$work/run" --storage-driver vfs)
buildah "${storage[@]}" bud --quiet --isolation chroot \
    -f tools/kubernetes/Containerfile -t lanerank . >/dev/null
read -r user command < <(buildah "${storage[@]}" inspect --type image lanerank |
    python3 -c 'import json, sys
config = json.load(sys.stdin)["OCIv1"]["config"]
print(config["User"], *config["Entrypoint"])')
container=$(buildah "${storage[@]}" from lanerank)
root=$(buildah "${storage[@]}" mount "$container")
find "$root" -type f -printf 'in the image: /%P, %s bytes\n'

chroot --userspec="$user" "$root" $command --listen "127.0.0.1:$port" 2>"$work/log" &
server=$!
for _ in $(seq 100); do
    curl -fs "127.0.0.1:$port/ready" >/dev/null && break
    sleep 0.1
done || true
grep -q "^Uid:.65532" /proc/$server/status
answer=$(curl -fs "127.0.0.1:$port/rerank" -H 'content-type: application/json' \
    -d '{"query": "how do I keep bread fresh", "texts": ["The lighthouse was built in 1847."]}') ||
    { cat "$work/log"; exit 1; }
expected=$(printf 'The lighthouse was built in 1847.' |
    target/$target/dist/lanerank rerank --query 'how do I keep bread fresh' --json |
    python3 -c 'import json, sys
score = json.load(sys.stdin)[0]["score"]
print(json.dumps([{"index": 0, "score": score}], separators=(",", ":")))')
[ "$answer" = "$expected" ] || { echo "$answer, expected $expected"; exit 1; }
kill $server
wait $server
server=
echo "user $user, the server's answer is the library's: $answer"
