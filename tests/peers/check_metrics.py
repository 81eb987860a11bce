#!/usr/bin/env python3
"""Checks the measures of `eval` against trec_eval on random collections.

    pip install numpy pytrec-eval-terrier
    python tests/peers/check_metrics.py target/release/lanerank

The judgements are random: graded, some negative, some of documents that are not in the run. The
runs are random, with many ties. The model is tests/data/model/old-names. nDCG@10, MRR@10, MAP and
Recall@100 of the run before and after reranking must equal trec_eval's to 1e-6.
"""

import json, sys, tempfile
from pathlib import Path
import numpy as np
import common

WORDS = """the river bank flooded and water ran on a dog lends money loans score rank query model
safe rust""".split()


def write_collection(folder, r, documents, queries, depth):
    """A collection in BEIR's layout."""
    text = lambda: " ".join(r.choice(WORDS, int(r.integers(1, 12))))
    lines = lambda rows: "".join(json.dumps(row) + "\n" for row in rows)
    docs = [f"d{i}" for i in range(documents)]
    (folder / "corpus.jsonl").write_text(
        lines({"_id": d, "title": text() if r.random() < 0.5 else "", "text": text()} for d in docs)
    )
    (folder / "queries.jsonl").write_text(
        lines({"_id": f"q{i}", "text": text()} for i in range(queries))
    )
    qrels, run = "query-id\tcorpus-id\tscore\n", ""
    for i in range(queries):
        judged = r.choice(docs, int(r.integers(2, 30)), replace=False)
        for j, d in enumerate(judged):
            qrels += f"q{i}\t{d}\t{1 if j == 0 else int(r.integers(-1, 4))}\n"
        scores = np.sort(r.integers(0, 20, depth) / 4)[::-1]
        for rank, (d, score) in enumerate(zip(r.choice(docs, depth, replace=False), scores), 1):
            run += f"q{i} Q0 {d} {rank} {score} made-up\n"
    (folder / "qrels.tsv").write_text(qrels)
    (folder / "run.bm25.trec").write_text(run)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    binary, failed = sys.argv[1], False
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        model = common.convert(
            binary, Path(__file__).parents[1] / "data/model/old-names", tmp / "m.lane", "f32"
        )
        for seed, shape in enumerate([(300, 20, 100), (60, 10, 40), (40, 5, 5)]):
            folder = tmp / str(seed)
            folder.mkdir()
            write_collection(folder, np.random.Generator(np.random.PCG64(seed)), *shape)
            _, _, qrels, run = common.read_dataset(folder)
            failed |= common.compare_eval(
                binary, folder, model, tmp / "run.trec", f"made-up {seed}", qrels, run
            )[1]
    sys.exit(failed)


if __name__ == "__main__":
    main()
