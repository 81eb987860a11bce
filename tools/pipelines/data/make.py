#!/usr/bin/env python3
"""Makes this folder's collection: all English paragraphs of XQuAD, and every fifth question.

    python3 data/make.py xquad.en.json       (from https://github.com/google-deepmind/xquad)

A paragraph's id is p and its number in the file. A question's own paragraph is its only relevant
one.
"""

import json, sys
from pathlib import Path

if len(sys.argv) != 2:
    sys.exit(__doc__)
corpus, queries, qrels = [], [], ["query-id\tcorpus-id\tscore"]
articles = json.loads(Path(sys.argv[1]).read_text())["data"]
paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
questions = [
    (f"p{i}", question) for i, paragraph in enumerate(paragraphs) for question in paragraph["qas"]
]
for i, paragraph in enumerate(paragraphs):
    corpus.append(
        json.dumps({"_id": f"p{i}", "title": "", "text": paragraph["context"]}, ensure_ascii=False)
    )
for paragraph, question in questions[::5]:
    queries.append(
        json.dumps({"_id": question["id"], "text": question["question"]}, ensure_ascii=False)
    )
    qrels.append(f"{question['id']}\t{paragraph}\t1")
for name, lines in [("corpus.jsonl", corpus), ("queries.jsonl", queries), ("qrels.tsv", qrels)]:
    (Path(__file__).parent / name).write_text(
        "".join(line + "\n" for line in lines), encoding="utf-8"
    )
