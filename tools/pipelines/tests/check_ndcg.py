#!/usr/bin/env python3
"""Compares the nDCG@10 printed by `lanerank-pipelines` with pytrec_eval's on the written rankings.

    pip install pytrec-eval-terrier
    python tests/check_ndcg.py target/release/lanerank-pipelines [FOLDER]

FOLDER is a collection with uncompressed files [default: the small collection]. The stages are
lexical, fused and blended scores, so that ties, and trec_eval's order of them, occur.
"""

import subprocess, sys, tempfile
from pathlib import Path
import pytrec_eval


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    binary, folder = sys.argv[1], Path(*sys.argv[2:] or [Path(__file__).parent.parent / "data"])
    qrels = {}
    for line in (folder / "qrels.tsv").read_text().splitlines()[1:]:
        query, document, score = line.split("\t")
        qrels.setdefault(query, {})[document] = int(score)
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut_10"})
    failed = False
    for pipeline in ["lexical", "sqlite"]:
        with tempfile.TemporaryDirectory() as tmp:
            command = [binary, pipeline, "--data", folder, "--write-runs", tmp]
            report = subprocess.run(
                command, check=True, capture_output=True, text=True
            ).stdout.splitlines()
            for stage in ["retrieved", "reranked", "blended"]:
                ours = next(float(line.split()[1]) for line in report if line.startswith(stage))
                with open(Path(tmp) / f"{stage}.trec") as run:
                    results = evaluator.evaluate(pytrec_eval.parse_run(run))
                theirs = sum(result["ndcg_cut_10"] for result in results.values()) / len(qrels)
                right = abs(ours - theirs) <= 0.5001e-4
                failed |= not right
                note = "" if right else " DIFFERS"
                print(f"{pipeline} {stage}: {ours:.4f}, pytrec_eval {theirs:.6f}{note}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
