"""Generated pairs of query and passage, always the same, and their scores from a single process."""

import random

from lanerank import Ranker

COUNT = 100_000
CANDIDATES = 100
WORDS = (
    "bread keeps fresh paper bag cold lamp lighthouse built dusk river bank money loan water model "
    "score rank engine search index passage query how what why does the a of in is was to and with "
    "for rust memory safe "
    "naïve café Zürich 東京 москва 🍞 e\u0301te\u0301 ﬁnal"
).split()


def texts(seed, count, least, most):
    """Texts of `least` to `most` words. One in fifty is empty, blank, or missing."""
    choose = random.Random(seed)
    odd = ["", " \t\n", None]
    return [
        choose.choice(odd)
        if choose.random() < 0.02
        else " ".join(choose.choices(WORDS, k=choose.randint(least, most)))
        for _ in range(count)
    ]


def pairs(count=COUNT):
    """Columns: id, query, passage. Each query has CANDIDATES passages in a row."""
    queries = texts(1, -(-count // CANDIDATES), 3, 8)
    return {
        "id": list(range(count)),
        "query": [queries[i // CANDIDATES] for i in range(count)],
        "passage": texts(2, count, 6, 18),
    }


def single_process(columns, ranker=None):
    """The score of each pair by Ranker.scores, one call per query. None if a text is missing."""
    ranker = ranker or Ranker(threads=1)
    found = [None] * len(columns["id"])
    for start in range(0, len(found), CANDIDATES):
        query = columns["query"][start]
        passages = columns["passage"][start : start + CANDIDATES]
        there = [
            i
            for i, passage in enumerate(passages, start)
            if passage is not None and query is not None
        ]
        for i, score in zip(
            there, ranker.scores(query or "", [columns["passage"][i] for i in there])
        ):
            found[i] = score
    return found


def tables(columns, count):
    """The rows in this many Arrow tables of equal size, which may split queries."""
    import pyarrow

    kinds = pyarrow.schema(
        [("id", pyarrow.int64()), ("query", pyarrow.string()), ("passage", pyarrow.string())]
    )
    table = pyarrow.table(columns, kinds)
    size = -(-table.num_rows // count)
    return [table.slice(i * size, size) for i in range(count)]


def write_parquet(columns, folder, files):
    """The same tables in files."""
    from pyarrow import parquet

    folder.mkdir(parents=True, exist_ok=True)
    for i, table in enumerate(tables(columns, files)):
        parquet.write_table(table, folder / f"{i:04}.parquet")
