#!/usr/bin/env bash
# Runs the Node example of README.md against a built library.
#
#     npm install --prefix DIR koffi
#     tools/capi/tests/check_node.sh target/release/liblanerank_capi.so DIR
set -euo pipefail
library=$(realpath "$1") packages=$(realpath "$2")
cd "$(dirname "$0")/.."
expected='0.5089  The refrigerator dries bread out; a paper bag in a box keeps it longest.
0.4139  How to bake bread in a cast iron pot
0.0551  The lighthouse was built in 1847.'
found=$(printf '%s\n' 'The lighthouse was built in 1847.' \
    'The refrigerator dries bread out; a paper bag in a box keeps it longest.' \
    'How to bake bread in a cast iron pot' |
    LANERANK_LIBRARY=$library NODE_PATH=$packages/node_modules \
        node examples/rerank.js 'how do I keep bread fresh')
[ "$found" = "$expected" ] || { printf 'expected\n%s\nfound\n%s\n' "$expected" "$found"; exit 1; }
example=$(cat examples/rerank.js)
[[ $(cat README.md) == *"$example"* ]] || { echo "README.md has a different rerank.js"; exit 1; }
echo "ok   the Node example prints the README's scores"
