"""Makes one pool of queries, passages and candidates from all sources.

Writes passages.jsonl and queries.jsonl (one JSON string per line) and pool.npz:
  passage_ids, passage_starts        WordPiece ids of all passages, concatenated, and their offsets
  query_ids, query_starts            the same of the queries
  label               [queries]      the query's passage, or -1 for a generated query
  origin              [queries]      number of the source
  held_out            [queries]      excluded from training; for measures and calibration
  candidates, scores  [queries, DEPTH]   BM25's best passages and their scores
"""

import json
import random
import re
import zlib
from pathlib import Path

import bm25s
import numpy as np
import Stemmer
from tokenizers import Tokenizer

from .sources import read_all

DEPTH = 50
HELD_OUT_PERCENT = 3
# Definitions are short and similar: some of them are enough, and none are used for queries.
MOST_OF_A_SOURCE = {"wordnet": 12_000}
SHORTEST_TO_ASK_ABOUT = 25


def build(pairs: Path, debian: Path, out: Path, tokenizer: Path) -> None:
    random.seed(0)
    passages, queries, counts = {}, [], {}
    sources = read_all(pairs, debian)
    for origin, (name, rows) in enumerate(sources.items()):
        seen = set()
        if len(rows) > MOST_OF_A_SOURCE.get(name, len(rows)):
            rows = random.sample(rows, MOST_OF_A_SOURCE[name])
        for query, passage in rows:
            if 3 <= len(query) <= 400 and len(passage) >= 20 and (query, passage) not in seen:
                seen.add((query, passage))
                number = passages.setdefault(passage, len(passages))
                queries.append((query, number, number, origin))
        counts[name] = len(seen)
        print(f"{name}: {len(seen)} pairs", flush=True)
    passages = list(passages)
    queries += made_up(passages, len(sources))
    print(f"{len(passages)} passages, {len(queries)} queries", flush=True)
    held_out = np.array([is_held_out(passages[made_from]) for _, _, made_from, _ in queries])

    out.mkdir(parents=True, exist_ok=True)
    texts = [query for query, *_ in queries]
    write_lines(out / "passages.jsonl", passages)
    write_lines(out / "queries.jsonl", texts)
    candidates, scores = bm25(passages, texts)
    tok = Tokenizer.from_file(str(tokenizer))
    tok.no_padding()
    tok.no_truncation()
    passage_ids, passage_starts = tokenize(tok, passages, 300)
    query_ids, query_starts = tokenize(tok, texts, 48)
    np.savez(
        out / "pool.npz",
        passage_ids=passage_ids,
        passage_starts=passage_starts,
        query_ids=query_ids,
        query_starts=query_starts,
        label=np.array([label for _, label, _, _ in queries], np.int32),
        origin=np.array([origin for *_, origin in queries], np.int8),
        held_out=held_out,
        candidates=candidates,
        scores=scores,
    )
    (out / "sources.json").write_text(json.dumps(counts, indent=1) + "\n")


def is_held_out(passage: str) -> bool:
    """Depends on the passage, so that all its queries are on one side."""
    return zlib.crc32(passage.encode()) % 100 < HELD_OUT_PERCENT


def made_up(passages: list[str], origin: int) -> list[tuple[str, int, int, int]]:
    """Generated queries without a label, for the teachers: keywords and parts of sentences."""
    made = []
    for number, passage in enumerate(passages):
        words = passage.split()
        if len(words) < SHORTEST_TO_ASK_ABOUT:
            continue
        query = keywords(passage) if random.random() < 0.6 else clause(passage)
        if query:
            made.append((query, -1, number, origin))
    return made


def keywords(passage: str) -> str:
    """Two to seven of the longer words close to each other, in order."""
    words = re.findall(r"[\w'-]{4,}", passage)
    if len(words) < 4:
        return ""
    span = random.randint(6, 40)
    start = random.randrange(max(1, len(words) - span))
    near = words[start : start + span]
    picked = sorted(random.sample(range(len(near)), min(len(near), random.randint(2, 7))))
    return " ".join(dict.fromkeys(near[i] for i in picked))


def clause(passage: str) -> str:
    """A sentence of the passage, or up to 16 words of it."""
    sentences = [s for s in re.split(r"(?<=[.!?;:])\s+", passage) if len(s.split()) >= 4]
    if not sentences:
        return ""
    words = random.choice(sentences).split()
    length = random.randint(4, 16)
    start = random.randrange(max(1, len(words) - length + 1))
    return " ".join(words[start : start + length])


def bm25(passages: list[str], queries: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """BM25's best DEPTH passages of every query, and their scores."""
    stemmer = Stemmer.Stemmer("english")

    def cut(texts):
        return bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)

    engine = bm25s.BM25(k1=0.9, b=0.4, backend="numba")
    engine.index(cut(passages), show_progress=False)
    candidates = np.zeros((len(queries), DEPTH), np.int32)
    scores = np.zeros((len(queries), DEPTH), np.float32)
    for start in range(0, len(queries), 10000):
        part = slice(start, start + 10000)
        candidates[part], scores[part] = engine.retrieve(
            cut(queries[part]), k=DEPTH, n_threads=2, show_progress=False
        )
        print(f"bm25 {start}/{len(queries)}", flush=True)
    return candidates, scores


def tokenize(tok: Tokenizer, texts: list[str], longest: int) -> tuple[np.ndarray, np.ndarray]:
    ids, starts = [], [0]
    for start in range(0, len(texts), 5000):
        for encoding in tok.encode_batch(texts[start : start + 5000], add_special_tokens=False):
            ids.append(np.array(encoding.ids[:longest], np.uint16))
            starts.append(starts[-1] + len(ids[-1]))
    return np.concatenate(ids), np.array(starts, np.int64)


def write_lines(path: Path, texts: list[str]) -> None:
    with open(path, "w") as file:
        file.writelines(json.dumps(text) + "\n" for text in texts)
