#!/usr/bin/env python3
"""Checks logits against ONNX Runtime's f32 logits of the same weights.

    python tests/peers/make_seeds.py target/models --peers ../shared/peers          # once
    python tests/peers/check_logits.py target/release/lanerank target/models

Finds the folders under target/models with config.json, tokenizer.json, model.safetensors and
model.onnx, converts each to f32, f16 and int8 and scores the four requests of the workload. Prints
the largest difference for each dtype and request: at most 1e-4 for f32 and 4e-2 for f16 on folders
without a seed in their name. Over folders named <shape>-<seed>, prints the mean Kendall tau between
int8 and f32 on rerank100: at least .95 (tinybert) and .93 (minilm12) with the converter's default,
.95 and .96 with --activations a16 (random weights are harder than trained ones). Exit code 1 when a
bound is missed. Stores ONNX Runtime's logits as ort_logits.json next to the model.
"""

import argparse, json, re, sys, tempfile
from collections import defaultdict
from pathlib import Path
import numpy as np
import common

# PyTorch itself, with its matrices rounded to f16, is off by 3.2e-2 on the MultiBERT shape.
BOUNDS = {"f32": 1e-4, "f16": 4e-2}
TAU = {
    "int8": {"tinybert": 0.95, "minilm12": 0.93},
    "int8-a16": {"tinybert": 0.95, "minilm12": 0.96},
}
FORMATS = {"f32": [], "f16": [], "int8": [], "int8-a16": ["--activations", "a16"]}


def reference(folder, workload):
    """ONNX Runtime's logits, computed if they are missing or older than the model."""
    kept, model = folder / "ort_logits.json", folder / "model.onnx"
    if not kept.exists() or kept.stat().st_mtime < model.stat().st_mtime:
        kept.write_text(json.dumps(common.ort_logits(folder, workload)))
    return {name: np.array(z) for name, z in json.loads(kept.read_text()).items()}


def score(binary, model, request):
    """Logits in the order of the passages."""
    passages = [{"id": i, "text": p} for i, p in enumerate(request["passages"])]
    hits = json.loads(
        common.run(
            binary,
            "rerank",
            "--model",
            model,
            "--json",
            "-",
            stdin=json.dumps({"query": request["query"], "passages": passages}),
        )
    )
    by_index = {hit["index"]: hit["logit"] for hit in hits}
    return np.array([by_index[i] for i in range(len(passages))])


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("binary")
    ap.add_argument("models", type=Path)
    ap.add_argument("--workload", type=Path, default=Path("../shared/peers/workload.json"))
    ap.add_argument("--only", help="only folders whose path contains this")
    ap.add_argument("--dtype", action="append", choices=list(FORMATS))
    a = ap.parse_args()
    workload = json.loads(a.workload.read_text("utf-8"))
    folders = sorted(
        f.parent for f in a.models.rglob("model.onnx") if (f.parent / "model.safetensors").exists()
    )
    folders = [f for f in folders if (a.only or "") in str(f)]
    if not folders:
        sys.exit(f"{a.models}: no folder with model.onnx and model.safetensors")
    failed, taus = False, defaultdict(list)
    for folder in folders:
        ort = reference(folder, workload)
        name = folder.relative_to(a.models)
        for dtype in a.dtype or FORMATS:
            with tempfile.TemporaryDirectory() as tmp:
                model = common.convert(
                    a.binary,
                    folder,
                    Path(tmp) / "m.lane",
                    dtype.removesuffix("-a16"),
                    *FORMATS[dtype],
                )
                got = {request: score(a.binary, model, workload[request]) for request in workload}
            off = {request: float(np.abs(z - ort[request]).max()) for request, z in got.items()}
            tau = common.kendall_tau(got["rerank100"], ort["rerank100"])
            seed = re.fullmatch(r"(.+)-(\d+)", folder.name)
            # `not <=`, so that NaN fails too. Further seeds are only for the mean: some amplify
            # rounding so much that PyTorch with f16 weights, or ONNX Runtime compared with
            # float64, is as far off.
            bad = not seed and not max(off.values()) <= BOUNDS.get(dtype, np.inf)
            failed |= bad
            print(
                f"{name!s:<24} {dtype:<7} max|diff| "
                + " ".join(f"{r} {x:.1e}" for r, x in off.items())
                + f"  tau {tau:.4f}"
                + (f"  OVER {BOUNDS[dtype]:.0e}" if bad and dtype in BOUNDS else ""),
                flush=True,
            )
            if dtype in TAU and seed:
                taus[seed[1], dtype].append(tau)
    for (shape, dtype), values in sorted(taus.items()):
        mean, bar = float(np.mean(values)), TAU[dtype].get(shape, -1)
        failed |= not mean >= bar
        print(
            f"{shape:<24} {dtype:<7} mean tau over {len(values)} seeds {mean:.4f}, bar {bar}"
            + ("" if mean >= bar else "  MISSED")
        )
    sys.exit(failed)


if __name__ == "__main__":
    main()
