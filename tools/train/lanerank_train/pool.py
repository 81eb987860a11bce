"""Makes one pool of queries and passages from all sources, with other wordings and look-alikes.

Writes passages.jsonl and queries.jsonl (one JSON string per line, what the teacher embeds) and
pool.npz. The first passages and queries are those of the files; those after them were made from
them: twins and decoys, and other wordings.
  passage_ids, passage_starts   WordPiece ids of all passages, concatenated, and their offsets
  query_ids, query_starts       the same of the queries
  stands    [passages]  the passage whose teachers' scores count; itself if it is not made
  means     [queries]   the query whose teachers' scores and candidates count
  label     [queries]   the right passage, or -1 for a generated query
  wrong     [queries]   its twin, a passage that looks like the right one, or -1
  gap       [queries]   how far the twin belongs below what the teachers say, in logits
  decoy     [queries]   a passage with the query's words strewn in, or -1
  right     [queries]   the passage that the twin was made from, the label, or -1
  origin    [queries]   number of the source
  passage_origin [files' passages]
  held_out  [queries]   excluded from training; for measures and calibration
  candidates, scores    [files' queries, DEPTH]   BM25's best passages and their scores
"""

import json
import random
import re
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from . import sources as origins
from . import twins, variants
from .candidates import bm25

HELD_OUT_PERCENT = 2
# What is similar or of one field only: some of it is enough, and the teacher's time is short.
MOST_OF_A_SOURCE = {
    "arxiv_titles": 12_000,
    "aws_docs": 14_000,
    "cpp_docs": 7_000,
    "debian_descriptions": 8_000,
    "debian_package_manuals": 12_000,
    "dynamics365_business_docs": 7_000,
    "openstax": 30_000,
    "powershell_docs": 6_000,
    "vba_office_docs": 4_000,
    "wordnet": 8_000,
}
# A heading that occurs more often in a source says nothing about its text.
MOST_REPEATS = 2
LONGEST_PASSAGE = 1600  # characters
SHORTEST_TO_ASK_ABOUT = 20  # words
ASKED_SHARE, VARIANT_SHARE, TWIN_SHARE, DECOY_SHARE = 0.5, 0.35, 0.6, 0.35


@dataclass
class Texts:
    """Passages and queries with their parallel columns."""

    passages: dict[str, int] = field(default_factory=dict)
    stands: list[int] = field(default_factory=list)
    passage_origin: list[int] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    columns: dict[str, list] = field(
        default_factory=lambda: {
            name: [] for name in ("means", "label", "wrong", "gap", "decoy", "right", "origin")
        }
    )

    def passage(self, text: str, stands: int | None = None, origin: int = -1) -> int:
        number = self.passages.setdefault(text, len(self.passages))
        if number == len(self.stands):
            self.stands.append(number if stands is None else stands)
            self.passage_origin.append(origin)
        return number

    def query(self, text: str, right: int, label: int, origin: int, means: int | None = None):
        number = len(self.queries)
        self.queries.append(text)
        row = dict(means=number if means is None else means, label=label, wrong=-1, gap=0.0)
        row |= dict(decoy=-1, right=right, origin=origin)
        for name, value in row.items():
            self.columns[name].append(value)
        return number


def build(pairs: Path, debian: Path, out: Path, tokenizer: Path, limit: int | None) -> None:
    """`limit`: rows of each source, for a trial."""
    rng = random.Random(0)
    random.seed(0)
    sources = {
        name: usable(name, rows, rng)[:limit]
        for name, rows in origins.read_all(pairs, debian).items()
    }
    texts = Texts()
    counts = {}
    for origin, (name, rows) in enumerate(sources.items()):
        counts[name] = add_source(texts, origin, rows)
        print(f"{name}: {counts[name]} pairs, {len(rows)} rows", flush=True)
    given = len(texts.passages)
    add_generated(texts, rng)
    asked = len(texts.queries)
    print(f"{given} passages, {asked} queries", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    write_lines(out / "passages.jsonl", list(texts.passages))
    write_lines(out / "queries.jsonl", texts.queries)
    where = np.array(texts.passage_origin)
    candidates, scores = bm25(
        list(texts.passages), where, texts.queries, np.array(texts.columns["origin"])
    )
    add_twins(texts, list(sources.values()), rng)
    add_variants(texts, asked, origins.synonyms(origins.wordnet(debian)), rng)
    print(f"{len(texts.passages) - given} look-alikes, {len(texts.queries) - asked} wordings")
    save(texts, out, tokenizer, list(sources), dict(candidates=candidates, scores=scores))
    (out / "sources.json").write_text(json.dumps(counts, indent=1) + "\n")


def usable(name: str, rows, rng: random.Random) -> list[tuple[str, str]]:
    """Some rows of a large source, with empty queries where a query says nothing."""
    if len(rows) > MOST_OF_A_SOURCE.get(name, len(rows)):
        rows = rng.sample(rows, MOST_OF_A_SOURCE[name])
    repeats = Counter(query.lower() for query, _ in rows)
    questions = "?" in "".join(query[-1:] for query, _ in rows[:200])
    return [
        (
            query
            if 3 <= len(query) <= 400 and (questions or repeats[query.lower()] <= MOST_REPEATS)
            else "",
            passage[:LONGEST_PASSAGE],
        )
        for query, passage in rows
        if len(passage) >= 20
    ]


def add_source(texts: Texts, origin: int, rows: list[tuple[str, str]]) -> int:
    seen = set()
    for query, passage in rows:
        number = texts.passage(passage, origin=origin)
        if query and (query, number) not in seen:
            seen.add((query, number))
            texts.query(query, number, number, origin)
    return len(seen)


def add_generated(texts: Texts, rng: random.Random) -> None:
    """Queries without a label, for the teachers: keywords and parts of sentences. Mostly for
    passages that nobody asked for."""
    asked = set(texts.columns["right"])
    for passage, number in list(texts.passages.items()):
        share = ASKED_SHARE if number in asked else 1.0
        if len(passage.split()) >= SHORTEST_TO_ASK_ABOUT and rng.random() < share:
            query = keywords(passage) if rng.random() < 0.6 else clause(passage)
            if query:
                texts.query(query, number, -1, texts.passage_origin[number])


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


def add_twins(texts: Texts, sources: list[list[tuple[str, str]]], rng: random.Random) -> None:
    """A twin for many queries, the query with the same exchange, and decoys."""
    exchanges = [twins.Source(rows) for rows in sources]
    by_origin = [[] for _ in sources]
    for text, number in texts.passages.items():
        by_origin[texts.passage_origin[number]].append(text)
    passages, columns = list(texts.passages), texts.columns
    for query in range(len(texts.queries)):
        text, right = texts.queries[query], columns["right"][query]
        origin, labelled = columns["origin"][query], columns["label"][query] >= 0
        if rng.random() < TWIN_SHARE * (1 if labelled else 0.3):
            twin = exchanges[origin].twin(text, passages[right], rng)
            if twin:
                wrong = texts.passage(twin.passage, right)
                columns["wrong"][query], columns["gap"][query] = wrong, twin.gap
                if twin.query:
                    label = wrong if labelled else -1
                    other = texts.query(twin.query, wrong, label, origin, query)
                    columns["wrong"][other], columns["gap"][other] = right, twin.gap
        if rng.random() < DECOY_SHARE * (1 if labelled else 0.2):
            other = rng.choice(by_origin[origin])
            made = twins.decoy(text, other, rng)
            if made and other != passages[right]:
                columns["decoy"][query] = texts.passage(made, texts.passages[other])


def add_variants(texts: Texts, asked: int, synonyms, rng: random.Random) -> None:
    """Other wordings of labelled queries, with the same twins and decoys."""
    columns = texts.columns
    for query in range(asked):
        if columns["label"][query] < 0 or rng.random() >= VARIANT_SHARE:
            continue
        text = variants.variant(texts.queries[query], synonyms, rng)
        if text:
            label, origin = columns["label"][query], columns["origin"][query]
            made = texts.query(text, label, label, origin, query)
            for name in ("decoy", "wrong", "gap"):
                columns[name][made] = columns[name][query]


def save(texts: Texts, out: Path, tokenizer: Path, names: list[str], found: dict) -> None:
    passages = list(texts.passages)
    columns = {name: np.array(values) for name, values in texts.columns.items()}
    given = texts.passage_origin.index(-1) if -1 in texts.passage_origin else len(passages)
    first = np.array(texts.stands)[columns["right"]]
    left_out = [number for number, name in enumerate(names) if name in origins.LEFT_OUT]
    held_out = np.isin(columns["origin"], left_out)
    held_out |= np.array([is_held_out(passages[number]) for number in first])
    tok = Tokenizer.from_file(str(tokenizer))
    tok.no_padding()
    tok.no_truncation()
    passage_ids, passage_starts = tokenize(tok, passages, 300)
    query_ids, query_starts = tokenize(tok, texts.queries, 48)
    np.savez(
        out / "pool.npz",
        passage_ids=passage_ids,
        passage_starts=passage_starts,
        query_ids=query_ids,
        query_starts=query_starts,
        stands=np.array(texts.stands, np.int32),
        passage_origin=np.array(texts.passage_origin[:given], np.int8),
        held_out=held_out,
        left_out=np.array(left_out, np.int8),
        gap=columns.pop("gap").astype(np.float32),
        **{name: column.astype(np.int32) for name, column in columns.items()},
        **found,
    )


def is_held_out(passage: str) -> bool:
    """Depends on the passage, so that all its queries are on one side."""
    return zlib.crc32(passage.encode()) % 100 < HELD_OUT_PERCENT


def tokenize(tok: Tokenizer, texts: list[str], longest: int) -> tuple[np.ndarray, np.ndarray]:
    """WordPiece ids without special tokens, concatenated, and each text's offset."""
    lists = []
    for start in range(0, len(texts), 10000):
        batch = tok.encode_batch(texts[start : start + 10000], add_special_tokens=False)
        lists += [np.array(e.ids[:longest], np.uint16) for e in batch]
    starts = np.zeros(len(lists) + 1, np.int64)
    starts[1:] = np.cumsum([len(ids) for ids in lists])
    return np.concatenate(lists), starts


def write_lines(file: Path, texts: list[str]) -> None:
    file.write_text("".join(json.dumps(text) + "\n" for text in texts))
