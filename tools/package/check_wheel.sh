#!/usr/bin/env bash
# Checks a wheel: that it needs no newer libraries than its tag or NEWEST allows, only Python's
# stable interface, and that its metadata can be published. If it is for this machine, installs it
# in an empty venv and ranks.
#
#     tools/package/check_wheel.sh WHEEL [NEWEST]
#
# PATH has auditwheel, abi3audit and twine (requirements.txt here).
set -euo pipefail
wheel=$1
newest=${2:-$(grep -oE '(many|musl)linux_[0-9]+_[0-9]+_[a-z0-9_]+' <<<"${wheel##*/}" | head -1)}
needs=$(auditwheel show "$wheel" | tr '\n' ' ' | grep -oE '"(many|musl)linux_[^"]+"' | head -1)
needs=${needs//\"/}
[ -n "$needs" ] && [ "$(printf '%s\n' "$needs" "$newest" | sort -V | tail -1)" = "$newest" ] ||
    { echo "$wheel needs ${needs:-unknown libraries}, newer than $newest"; exit 1; }
echo "${wheel##*/} needs $needs"
abi3audit --strict "$wheel"
twine check --strict "$wheel"

venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
python3 -m venv "$venv"
if "$venv/bin/pip" install --quiet --no-index "$wheel" 2>"$venv/said"; then
    cd /
    "$venv/bin/python" -c 'import lanerank
best = lanerank.Ranker().rerank(lanerank.RerankRequest(query="fresh bread",
    passages=[{"id": 1, "text": "The lighthouse."}, {"id": 2, "text": "Bread stays fresh."}]))[0]
assert best["id"] == 2, best
print("in an empty venv:", best)'
    printf 'Bread stays fresh.\n' | "$venv/bin/lanerank" rerank --query 'fresh bread'
elif grep -q 'not a supported wheel on this platform' "$venv/said"; then
    echo "for another platform: not installed"
else
    cat "$venv/said"
    exit 1
fi
