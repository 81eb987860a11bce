"""Text that training must not see: that of test collections."""

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .compare import normal
from .rows import Row

RUN = 13  # words in sequence that count as the same text


@dataclass(frozen=True)
class Evaluation:
    queries: frozenset[str]
    passages: frozenset[str]
    runs: frozenset[int]  # hashes of the runs of words in relevant passages

    def without(self, rows: Iterable[Row]) -> Iterator[Row]:
        return (row for row in rows if not self.has(*row))

    def has(self, query: str, passage: str) -> bool:
        passage = normal(passage)
        if passage in self.passages or (query and normal(query) in self.queries):
            return True
        return any(run in self.runs for run in runs(passage))


def runs(text: str) -> Iterator[int]:
    words = text.split()
    for start in range(len(words) - RUN + 1):
        yield hash(tuple(words[start : start + RUN]))


def read(folder: Path) -> Evaluation:
    """Every folder in it is a collection: corpus.jsonl.gz, queries.jsonl, qrels.tsv, in BEIR's
    form."""
    queries, passages, found = set(), set(), set()
    for collection in sorted(p for p in folder.iterdir() if p.is_dir()):
        with open(collection / "queries.jsonl", encoding="utf-8") as lines:
            queries.update(normal(json.loads(line)["text"]) for line in lines)
        with open(collection / "qrels.tsv", encoding="utf-8") as lines:
            judged = [line.split() for line in lines][1:]
        relevant = {document for _, document, score in judged if int(score) > 0}
        with gzip.open(collection / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
            for document in map(json.loads, lines):
                text = normal(document["text"])
                passages.add(text)
                if document["_id"] in relevant:
                    found.update(runs(text))
    return Evaluation(frozenset(queries), frozenset(passages), frozenset(found))
