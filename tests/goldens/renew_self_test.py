#!/usr/bin/env python3
"""Renews the self-test of a cross-encoder's model file after int8 arithmetic has changed.

    python tests/goldens/renew_self_test.py target/release/lanerank src/assets/default.lane

Keeps the texts, recomputes their logits on the reference tier and updates the checksums
(src/format/FORMAT.md). No other byte changes.
"""

import json, os, struct, subprocess, sys
from pathlib import Path
from xxhash import xxh64_intdigest

binary, path = sys.argv[1], Path(sys.argv[2])
file = bytearray(path.read_bytes())
count = struct.unpack_from("<I", file, 12)[0]
entries = range(64, 64 + 128 * count, 128)
entry = next(e for e in entries if file[e : e + 56].rstrip(b"\0") == b"self_test")
start, length = struct.unpack_from("<QQ", file, entry + 96)
command = [binary, "rerank", "--model", path, "--json", "-"]
reference = os.environ | {"LANERANK_ISA": "reference"}
at = start + 4
for _ in range(struct.unpack_from("<I", file, start)[0]):
    q, p = struct.unpack_from("<II", file, at)
    query = file[at + 8 : at + 8 + q].decode()
    passage = file[at + 8 + q : at + 8 + q + p].decode()
    at += 8 + q + p
    request = json.dumps({"query": query, "passages": [{"text": passage}]})
    done = subprocess.run(
        command, input=request, stdout=subprocess.PIPE, encoding="utf-8", env=reference, check=True
    )
    hit = json.loads(done.stdout)[0]
    print(f"{struct.unpack_from('<f', file, at)[0]:.9f} -> {hit['logit']:.9f}")
    struct.pack_into("<f", file, at, hit["logit"])
    at += 4
assert at == start + length
struct.pack_into("<Q", file, entry + 112, xxh64_intdigest(bytes(file[start : start + length])))
struct.pack_into("<Q", file, 24, xxh64_intdigest(bytes(file[64 : 64 + 128 * count])))
struct.pack_into("<Q", file, 56, xxh64_intdigest(bytes(file[:56])))
kept = path.with_suffix(".new")
kept.write_bytes(file)
kept.replace(path)
