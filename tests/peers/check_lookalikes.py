#!/usr/bin/env python3
"""Counts how often a model puts the right passage of tests/data/lookalikes first, by kind.

    python tests/peers/check_lookalikes.py target/release/lanerank [--model FILE.lane ...] [--bm25]

Without --model, the binary's default model ranks. An encoder ranks by cosine. --bm25 adds BM25 over
all passages and needs the bm25s and PyStemmer of tools/train/requirements.txt. The last line is
MRR@10 as `lanerank eval` reports it. The script judges nothing: it only fails if a run fails.
"""

import argparse, json, tempfile
from collections import Counter
from pathlib import Path
import common

FOLDER = Path(__file__).parents[1] / "data/lookalikes"


def rows(name):
    return list(map(json.loads, common.open_text(FOLDER / name)))


def by_model(binary, model):
    """(the best passage by query, MRR@10) of `lanerank eval`."""
    with tempfile.TemporaryDirectory() as tmp:
        written = Path(tmp) / "run.trec"
        more = ["--model", model] if model else []
        report = common.run(
            binary, "eval", "--dataset", FOLDER, "--json", "--write-run", written, *more
        )
        run = common.read_run(written)
    return {q: max(r, key=r.get) for q, r in run.items()}, json.loads(report)["after"]["mrr@10"]


def by_bm25(queries, right):
    """(the best passage by query, MRR@10) of BM25; of equal passages, wrong ones come first."""
    import bm25s, Stemmer

    stemmer = Stemmer.Stemmer("english")
    words = lambda texts: bm25s.tokenize(
        texts, stopwords="en", stemmer=stemmer, return_ids=False, show_progress=False
    )
    docs = rows("corpus.jsonl")
    engine = bm25s.BM25(k1=0.9, b=0.4)
    engine.index(words([d["text"] for d in docs]), show_progress=False)
    run, best, mrr = common.read_run(FOLDER / "run.trec"), {}, 0
    for query in queries:
        q = query["_id"]
        scores = engine.get_scores(words([query["text"]])[0])
        mine = [
            (s, d["_id"] != right[q], d["_id"]) for s, d in zip(scores, docs) if d["_id"] in run[q]
        ]
        ids = [d for *_, d in sorted(mine, reverse=True)]
        best[q] = ids[0]
        mrr += 1 / (1 + ids.index(right[q])) / len(queries)
    return best, mrr


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("binary")
    ap.add_argument("--model", action="append", help="a model file; may be repeated")
    ap.add_argument("--bm25", action="store_true")
    a = ap.parse_args()
    queries = rows("queries.jsonl")
    right = dict(l.split("\t")[:2] for l in list(common.open_text(FOLDER / "qrels.tsv"))[1:])
    columns = {
        Path(m).stem if m else "default model": by_model(a.binary, m) for m in a.model or [None]
    }
    if a.bm25:
        columns["BM25"] = by_bm25(queries, right)
    total = Counter(q["kind"] for q in queries)
    print(f"{'kind':<18}{'questions':>10}" + "".join(f"{name:>20}" for name in columns))
    for kind, count in [*total.items(), ("all", len(queries))]:
        ids = [q["_id"] for q in queries if kind in ("all", q["kind"])]
        line = f"{kind:<18}{count:>10}"
        for best, _ in columns.values():
            first = sum(best[q] == right[q] for q in ids)
            line += f"{first:>13}{first / count:>6.0%} "
        print(line)
    print(f"{'MRR@10':<28}" + "".join(f"{mrr:>19.3f} " for _, mrr in columns.values()))


if __name__ == "__main__":
    main()
