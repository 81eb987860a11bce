"""Fixtures for the tests of Ray and Spark."""

import os
import sys

import pytest

from pairs import pairs, single_process, write_parquet

# Otherwise Spark's workers run any `python3`.
os.environ["PYSPARK_PYTHON"] = sys.executable

# Number of blocks in Ray, of files for Spark.
PARTS = 50


@pytest.fixture(scope="session")
def columns():
    """100,000 pairs."""
    return pairs()


@pytest.fixture(scope="session")
def expected(columns):
    """The ids of the pairs, and their scores from a single process."""
    scores = dict(zip(columns["id"], single_process(columns)))
    assert sum(score is None for score in scores.values()) > 500
    assert len(set(scores.values())) > 50_000
    return scores


@pytest.fixture(scope="session")
def folder(columns, tmp_path_factory):
    """The pairs as Parquet, in PARTS files."""
    folder = tmp_path_factory.mktemp("pairs")
    write_parquet(columns, folder, PARTS)
    return str(folder)


@pytest.fixture(scope="session")
def requests():
    """Rows of (id, query, candidates) with missing values, and the ranking of each row."""
    texts = ["The lamp is lit at dusk.", "Bread dries out in the cold.", None, "", "naïve 🍞"]
    query = "how to keep bread fresh"
    return [
        {"id": 2**60 + 1, "query": query, "candidates": texts},
        {"id": 2, "query": query, "candidates": []},
        {"id": 3, "query": None, "candidates": texts[:3]},
        {"id": 4, "query": query, "candidates": None},
        {"id": None, "query": "", "candidates": ["same", "same"]},
    ]


@pytest.fixture(scope="session")
def rankings(requests):
    """Index and score by Ranker.rank. Candidates without a score come last."""
    from lanerank import Ranker

    ranker = Ranker(threads=1)

    def rank(query, candidates):
        there = [i for i, text in enumerate(candidates) if text is not None and query is not None]
        hits = ranker.rank(query or "", [candidates[i] for i in there])
        scored = [(there[hit.index], hit.score) for hit in hits]
        return scored + [(i, None) for i in range(len(candidates)) if i not in there]

    return {
        row["id"]: None if row["candidates"] is None else rank(row["query"], row["candidates"])
        for row in requests
    }


def same_rows(found, expected):
    """Asserts that each row occurs once, with its exact score. `found`: (id, score) of each row."""
    assert len(found) == len(expected), f"{len(found)} rows of {len(expected)}"
    assert dict(found) == expected
