"""Shared code of the adapters for Ray and Spark: columns of texts in, a column of scores out."""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby
from operator import itemgetter

from ._models import Ranker, needs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, TypedDict

    import pyarrow

    class Ranked(TypedDict):
        """A candidate's index in its row, and its score (None without a text)."""

        index: int
        score: float | None


@lru_cache(maxsize=None)
def ranker(model_name: str | None, cache_dir: str | None, max_length: int | None) -> Ranker:
    """The worker's ranker, opened once. It uses one thread, because each core has a worker."""
    return Ranker(model_name, cache_dir, max_length, threads=1)


def pair_scores(
    ranker: Ranker, queries: Iterable[str | None], passages: Iterable[str | None]
) -> list[float | None]:
    """The score of each pair, in order; None if the query or the passage is None. Neighbours with
    the same query are one call."""
    found: list[float | None] = []
    for query, pairs in groupby(zip(queries, passages, strict=True), key=itemgetter(0)):
        found += _scores(ranker, query, [passage for _, passage in pairs])
    return found


def ranking(
    ranker: Ranker, query: str | None, candidates: Iterable[str | None] | None
) -> list[Ranked] | None:
    """The candidates of a row, best first; equal scores keep the order given. Candidates without a
    score, because the text or the query is None, come last. None if there is no list."""
    if candidates is None:
        return None
    texts = list(candidates)
    if query is None:
        return [{"index": index, "score": None} for index in range(len(texts))]
    there = [index for index, text in enumerate(texts) if text is not None]
    hits = ranker.rank(query, [text for text in texts if text is not None])
    ranked: list[Ranked] = [{"index": there[hit.index], "score": hit.score} for hit in hits]
    return ranked + [
        {"index": index, "score": None} for index, text in enumerate(texts) if text is None
    ]


def _scores(
    ranker: Ranker, query: str | None, passages: Sequence[str | None]
) -> list[float | None]:
    if query is None:
        return [None] * len(passages)
    scores = iter(ranker.scores(query, [passage for passage in passages if passage is not None]))
    return [None if passage is None else next(scores) for passage in passages]


class Scorer:
    """Adds a column of scores to Arrow batches and tables of (query, passage). Runs in a worker.

    The arguments are the ranker's, the names of the columns to read and that of the column to add,
    a float32. Rows keep their order and all their columns.
    """

    def __init__(
        self,
        model_name: str | None = None,
        cache_dir: str | None = None,
        max_length: int | None = None,
        query: str = "query",
        passage: str = "passage",
        output: str = "score",
    ) -> None:
        self._model = (model_name, cache_dir, max_length)
        self._columns = (query, passage)
        self._output = output

    def __call__(self, batch: Any) -> Any:
        with needs("Scorer", "pyarrow"):
            import pyarrow

        queries, passages = (batch.column(name).to_pylist() for name in self._columns)
        scores = pair_scores(ranker(*self._model), queries, passages)
        return _with_column(batch, self._output, pyarrow.array(scores, pyarrow.float32()))


class ListRanker:
    """Adds a column of rankings to Arrow batches and tables of (query, list of candidates),
    otherwise like Scorer. A ranking is a list of structs: the candidate's index, int32, and score,
    float32."""

    def __init__(
        self,
        model_name: str | None = None,
        cache_dir: str | None = None,
        max_length: int | None = None,
        query: str = "query",
        candidates: str = "candidates",
        output: str = "ranking",
    ) -> None:
        self._model = (model_name, cache_dir, max_length)
        self._columns = (query, candidates)
        self._output = output

    def __call__(self, batch: Any) -> Any:
        with needs("ListRanker", "pyarrow"):
            import pyarrow

        own = ranker(*self._model)
        rows = zip(*(batch.column(name).to_pylist() for name in self._columns))
        rankings = [ranking(own, query, candidates) for query, candidates in rows]
        kind = pyarrow.list_(
            pyarrow.struct([("index", pyarrow.int32()), ("score", pyarrow.float32())])
        )
        return _with_column(batch, self._output, pyarrow.array(rankings, kind))


def _with_column(batch: Any, name: str, values: pyarrow.Array) -> Any:
    if name in batch.schema.names:
        raise ValueError(f"column {name!r} exists already; choose another name for the result")
    return batch.append_column(name, values)
