"""Makes the collection in this folder and trec_eval's measures of its run.

    pip install pytrec_eval-terrier
    python make.py

Scores are coarse, so that many tie. Judgements are graded, some negative, and incomplete.
"""

import json
import random

import pytrec_eval

random.seed(2024)
DOCUMENTS = [f"d{i}" for i in range(130)]


def judgements(query):
    if query == 3:  # nothing relevant
        return {"d1": 0, "d2": -1}
    judged = random.sample(DOCUMENTS, 40)
    return {d: random.choice([-1, 0, 0, 1, 1, 2, 3]) for d in judged}


def ranking(query):
    if query == 4:  # judged, but not in the run
        return {}
    size = 7 if query == 2 else 120
    found = random.sample(DOCUMENTS, size)
    return {d: random.randrange(8) / 4 + qrels[f"q{query}"].get(d, 0) / 2 for d in found}


def averages(qrels, run):
    """Means over all judged queries, as trec_eval -c."""
    # trec_eval has no cutoff for reciprocal rank: truncate the run first, in its order of ties.
    first10 = {
        q: dict(sorted(docs.items(), key=lambda d: (d[1], d[0]), reverse=True)[:10])
        for q, docs in run.items()
    }
    full = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "map", "recall.100"}).evaluate(run)
    cut = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(first10)
    mean = lambda results, name: sum(r[name] for r in results.values()) / len(qrels)
    return {
        "ndcg@10": mean(full, "ndcg_cut_10"),
        "mrr@10": mean(cut, "recip_rank"),
        "map": mean(full, "map"),
        "recall@100": mean(full, "recall_100"),
    }


qrels = {f"q{i}": judgements(i) for i in range(5)}
run = {f"q{i}": ranking(i) for i in range(5)}
exponential = {
    q: {d: 2**s - 1 if s > 0 else 0 for d, s in docs.items()} for q, docs in qrels.items()
}
expected = {"linear": averages(qrels, run), "exponential": averages(exponential, run)}

with open("qrels.tsv", "w") as out:
    print("query-id\tcorpus-id\tscore", file=out)
    for q, docs in qrels.items():
        for d, score in docs.items():
            print(q, d, score, sep="\t", file=out)
with open("run.bm25.trec", "w") as out:
    for q, docs in run.items():
        for rank, (d, score) in enumerate(docs.items(), 1):
            print(q, "Q0", d, rank, score, "made", file=out)
with open("queries.jsonl", "w") as out:
    for q in qrels:
        print(json.dumps({"_id": q, "text": f"query {q}"}), file=out)
with open("corpus.jsonl", "w") as out:
    for d in DOCUMENTS:
        print(json.dumps({"_id": d, "title": "", "text": f"text of {d}"}), file=out)
with open("expected.json", "w") as out:
    json.dump(expected, out, indent=1)
    print(file=out)
