#!/usr/bin/env python3
"""Compares FlashRank and lanerank on the same cache_dir, with a model of the real shape.

    pip install flashrank numpy target/wheels/lanerank-*.whl
    python tools/python/integration_tests/check_flashrank.py MODELS --workload workload.json

MODELS/tinybert is a model folder with model.onnx (f32) and model_quantized.onnx (int8, like
FlashRank's own files). The f32 file, converted to f32, must give the same order, and scores within
1e-5. With the int8 file FlashRank rounds the activations of a whole batch together, so its scores
depend on the other passages. So both sides are compared with the f32 scores: ours may not be
further from them.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import flashrank
import numpy as np

import lanerank

NAME, ONNX = "ms-marco-TinyBERT-L-2-v2", "flashrank-TinyBERT-L-2-v2.onnx"


def cache_dir(folder, onnx, out):
    target = Path(out) / NAME
    target.mkdir(parents=True)
    for name in (
        "config.json",
        "vocab.txt",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
    ):
        shutil.copy(folder / name, target / name)
    shutil.copy(folder / onnx, target / ONNX)
    return str(out)


def scores(ranker, request):
    """Scores by passage, and the order."""
    passages = [{"id": i, "text": text} for i, text in enumerate(request["passages"])]
    results = ranker.rerank(flashrank.RerankRequest(request["query"], passages))
    by_id = {result["id"]: float(result["score"]) for result in results}
    return np.array([by_id[i] for i in range(len(by_id))]), [result["id"] for result in results]


def tau(a, b):
    pairs = np.triu_indices(len(a), 1)
    return (
        float((np.sign(np.subtract.outer(a, a)) * np.sign(np.subtract.outer(b, b)))[pairs].mean())
        if len(a) > 1
        else 1.0
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", type=Path)
    parser.add_argument("--workload", type=Path, required=True)
    args = parser.parse_args()
    workload = json.loads(args.workload.read_text())
    folder, wrong = args.models / "tinybert", []
    with tempfile.TemporaryDirectory() as tmp:
        exact = cache_dir(folder, "model.onnx", Path(tmp) / "f32")
        rounded = cache_dir(folder, "model_quantized.onnx", Path(tmp) / "int8")
        rankers = {
            "theirs f32": flashrank.Ranker(cache_dir=exact),
            "ours f32": lanerank.Ranker(cache_dir=exact, dtype="f32"),
            "theirs int8": flashrank.Ranker(cache_dir=rounded),
            "ours int8": lanerank.Ranker(cache_dir=rounded),
        }
        print(f"{'request':<10} {'':<12} {'largest difference from f32':>28} {'tau':>7}")
        for name, request in workload.items():
            found = {side: scores(ranker, request) for side, ranker in rankers.items()}
            reference, order = found["theirs f32"]
            worst = {
                side: float(np.abs(values - reference).max()) for side, (values, _) in found.items()
            }
            taus = {side: tau(values, reference) for side, (values, _) in found.items()}
            for side in list(rankers)[1:]:
                print(f"{name:<10} {side:<12} {worst[side]:>28.2e} {taus[side]:>7.3f}", flush=True)
            # Passages closer than the bound may be in either order.
            if worst["ours f32"] > 1e-5 or np.any(np.diff(reference[found["ours f32"][1]]) > 2e-5):
                wrong.append(f"{name}: f32")
            if len(order) > 1 and (
                worst["ours int8"] > worst["theirs int8"] or taus["ours int8"] < taus["theirs int8"]
            ):
                wrong.append(f"{name}: int8")
    sys.exit(f"FAILED: {wrong}" if wrong else 0)


if __name__ == "__main__":
    main()
