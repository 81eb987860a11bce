#!/usr/bin/env python3
"""Compares FlashRank and `lanerank.Ranker()` on the default model.

    python tools/python/integration_tests/export_default_model.py FOLDER       # once; needs torch
    pip install flashrank numpy target/wheels/lanerank-*.whl
    cd tools/python/integration_tests
    python check_default_model.py FOLDER --workload FILE [--data EVAL]

FlashRank runs the same weights from ONNX, in f32 and in its own int8. The requests are those of the
workload, and the first queries of the test collections in EVAL with BM25's first passages:

  1. lanerank in f32, from FlashRank's f32 file, gives FlashRank's scores within 1e-5 and its order;
  2. the scores of `Ranker()`, which quantises activations, are within 0.03 of FlashRank's in f32,
     and the mean of Kendall's tau between both orders is at least .98 over all requests;
  3. FlashRank's int8 file is further from its f32 file than `Ranker()` is, by the means of both.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import flashrank
import numpy as np
from check_flashrank import cache_dir, scores, tau

import lanerank

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests/peers"))
import common  # noqa: E402

SETS = ["scifact", "trec-dl-2019", "wikiqa", "se-ai", "xquad-en"]


def collections(data, queries, passages):
    """(collection, request) for the first queries of each collection."""
    for name in SETS:
        docs, texts, _, run = common.read_dataset(data / name)
        for q in [q for q in texts if q in run][:queries]:
            yield name, {"query": texts[q], "passages": [docs[d] for d in list(run[q])[:passages]]}


def compared(found):
    """For each side: the largest difference from FlashRank's f32 scores, and tau with them."""
    reference = found["FlashRank f32"][0]
    return {
        side: (float(np.abs(values - reference).max()), tau(values, reference))
        for side, (values, _) in found.items()
    }


def summary(rows, side):
    """Largest difference, mean of the requests' largest differences, mean tau."""
    differences, taus = np.array([row[side] for row in rows]).T
    return differences.max(), differences.mean(), taus.mean()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workload", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--passages", type=int, default=30)
    args = parser.parse_args()
    requests = list(json.loads(args.workload.read_text()).items())
    if args.data:
        requests += collections(args.data, args.queries, args.passages)
    wrong, rows = [], {}
    with tempfile.TemporaryDirectory() as tmp:
        exact = cache_dir(args.folder, "model.onnx", Path(tmp) / "f32")
        rounded = cache_dir(args.folder, "model_quantized.onnx", Path(tmp) / "int8")
        rankers = {
            "FlashRank f32": flashrank.Ranker(cache_dir=exact),
            "FlashRank int8": flashrank.Ranker(cache_dir=rounded),
            "lanerank f32": lanerank.Ranker(cache_dir=exact, dtype="f32"),
            "Ranker()": lanerank.Ranker(),
        }
        for name, request in requests:
            found = {side: scores(ranker, request) for side, ranker in rankers.items()}
            rows.setdefault(name, []).append(compared(found))
            order = found["lanerank f32"][1]
            # Passages closer than the bound may be in either order.
            if rows[name][-1]["lanerank f32"][0] > 1e-5 or np.any(
                np.diff(found["FlashRank f32"][0][order]) > 2e-5
            ):
                wrong.append(f"{name}: f32: {request['query']}")
    sides = list(rankers)[1:]
    print(
        f"{'requests':<14} {'':>4}"
        + "".join(f" | {side + ': worst':>21} {'mean':>8} {'tau':>6}" for side in sides)
    )
    for name, group in [*rows.items(), ("all", sum(rows.values(), []))]:
        figures = {side: summary(group, side) for side in sides}
        print(
            f"{name:<14} {len(group):>4}"
            + "".join(" | {:>21.2e} {:>8.1e} {:>6.3f}".format(*figures[side]) for side in sides)
        )
    (worst, mean, mean_tau), (_, their_mean, their_tau) = (
        figures["Ranker()"],
        figures["FlashRank int8"],
    )
    if worst > 0.03 or mean_tau < 0.98:
        wrong.append("Ranker(): bounds")
    if mean >= their_mean or mean_tau <= their_tau:
        wrong.append("Ranker(): further off than FlashRank's int8")
    sys.exit(f"FAILED: {wrong}" if wrong else 0)


if __name__ == "__main__":
    main()
