#!/usr/bin/env python3
"""Checks a multilingual model on texts in seven languages against tokenizers and transformers.

    python tests/peers/check_multilingual.py target/release/lanerank [--data ../shared/data]
        [--queries 40] [--candidates 8]

The model is seeded: 2 layers of 32, two logits, and the 105,879 uncased pieces of
bert-base-multilingual-uncased. Tokenises and scores the first candidates of the first queries of
xquad-* and jaquad-dev. Requires equal ids, f32 logits (second minus first) within 1e-4, f16 within
3e-2, and scores equal to the second entry of the softmax. Also prints the largest difference of
int8 and its mean Kendall tau.
"""

import argparse, json, sys, tempfile
from pathlib import Path
import numpy as np
import torch
import common

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "goldens"))
from make_multilingual_goldens import logits, make_model, read_vocabulary

BOUNDS = {"f32": 1e-4, "f16": 3e-2, "int8": np.inf}


def check(binary, data, full, queries, candidates):
    sets = sorted(data.glob("eval/xquad-*")) + [data / "eval/jaquad-dev"]
    failed = False
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        tokenizer, model = make_model(tmp / "m", full, 512, torch.float32)
        lanes = {
            dtype: common.convert(binary, tmp / "m", tmp / f"{dtype}.lane", dtype)
            for dtype in BOUNDS
        }
        for folder in sets:
            docs, texts, _, run = common.read_dataset(folder)
            off, taus, differing, pairs = dict.fromkeys(BOUNDS, 0.0), [], 0, 0
            worst_score = 0.0
            for q in list(run)[:queries]:
                passages = [docs[d] for d in list(run[q])[:candidates]]
                encoded = [tokenizer.encode(texts[q], p) for p in passages]
                lines = "".join(json.dumps([texts[q], p]) + "\n" for p in passages)
                ours = common.run(
                    binary, "tokenize", "--model", lanes["f32"], "--max-length", 512, stdin=lines
                ).splitlines()
                differing += sum(
                    json.loads(line)["ids"] != e.ids for line, e in zip(ours, encoded, strict=True)
                )
                pairs += len(passages)
                z = logits(model, encoded)
                expected, softmax = z[:, 1] - z[:, 0], np.exp(z[:, 1]) / np.exp(z).sum(1)
                request = json.dumps(
                    dict(query=texts[q], passages=[dict(text=p) for p in passages])
                )
                for dtype, lane in lanes.items():
                    hits = json.loads(
                        common.run(binary, "rerank", "--model", lane, "--json", stdin=request)
                    )
                    hits = sorted(hits, key=lambda hit: hit["index"])
                    got = np.array([hit["logit"] for hit in hits])
                    off[dtype] = max(off[dtype], float(np.abs(got - expected).max()))
                    if dtype == "f32":
                        scores = np.array([hit["score"] for hit in hits])
                        worst_score = max(worst_score, float(np.abs(scores - softmax).max()))
                    if dtype == "int8":
                        taus.append(common.kendall_tau(got, expected))
            bad = differing or worst_score > 1e-4 or any(not off[d] <= BOUNDS[d] for d in BOUNDS)
            failed |= bool(bad)
            figures = " ".join(f"{d} {x:.1e}" for d, x in off.items())
            print(
                f"{folder.name:<11} {pairs} pairs, {differing} with other ids; "
                f"largest difference {figures}, of scores "
                f"{worst_score:.1e}; int8 tau {np.mean(taus):.3f}{'  MISSED' if bad else ''}",
                flush=True,
            )
    return failed


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("binary")
    ap.add_argument("--data", type=Path, default=Path("../shared/data"))
    ap.add_argument("--queries", type=int, default=40)
    ap.add_argument("--candidates", type=int, default=8)
    a = ap.parse_args()
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    sys.exit(check(a.binary, a.data, read_vocabulary(a.data), a.queries, a.candidates))


if __name__ == "__main__":
    main()
