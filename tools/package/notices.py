#!/usr/bin/env python3
"""Prints the licence texts of the crates that are linked into the program.

    python3 tools/package/notices.py TARGET > THIRD-PARTY.txt

A crate without a licence file is listed with its licence's name only.
"""

import json, subprocess, sys
from pathlib import Path

NAMES = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT", "UNLICENSE")
target = sys.argv[1]


def cargo(*words):
    words = ["cargo", *words, "--locked"]
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout


packages = json.loads(cargo("metadata", "--format-version", "1"))["packages"]
by_id = {(package["name"], package["version"]): package for package in packages}
tree = cargo(
    *("tree", "-p", "lanerank-cli", "--features", "full", "-e", "normal,no-proc-macro"),
    *("--target", target, "--prefix", "none", "--format", "{p}"),
)
linked = sorted({tuple(line.split()[:2]) for line in tree.splitlines() if line})
for name, version in linked:
    package = by_id[name, version.removeprefix("v")]
    if not package["source"]:
        continue
    print("=" * 80, f"{name} {package['version']}: {package['license']}", sep="\n", end="\n\n")
    for file in sorted(Path(package["manifest_path"]).parent.iterdir()):
        if file.is_file() and file.name.upper().startswith(NAMES):
            print(file.read_text(encoding="utf-8", errors="replace").strip(), end="\n\n")
