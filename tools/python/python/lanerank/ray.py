"""Rerank jobs on Ray Data.

    import ray
    from lanerank.ray import rank, score

    pairs = ray.data.read_parquet("pairs/")             # query, passage, any other columns
    score(pairs, workers=8).write_parquet("scored/")    # adds `score`

    requests = ray.data.read_parquet("requests/")       # query, candidates: a list of texts
    rank(requests, workers=8).write_parquet("ranked/")  # adds `ranking`: [{index, score}, ...]

Both run a pool of `workers` actors, one per core, each with its own model. `options` are
`model_name`, `cache_dir` and `max_length` of lanerank.Ranker, and the names of columns: `query`,
`passage` or `candidates`, `output`. A missing text gives a null score, a missing list a null
ranking.
"""

from __future__ import annotations

from ._columns import ListRanker, Scorer
from ._models import needs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ray.data import Dataset

#: Batches per block. An actor takes a block at a time, and repeats a block whose actor died.
BLOCK_BATCHES = 4

__all__ = ["ListRanker", "Scorer", "rank", "score"]


def score(pairs: Dataset, *, workers: int = 1, batch_size: int = 1024, **options: Any) -> Dataset:
    """Adds a score, a float32, to each row."""
    return _map(pairs, Scorer, workers, batch_size, options)


def rank(requests: Dataset, *, workers: int = 1, batch_size: int = 16, **options: Any) -> Dataset:
    """Adds a ranking to each row: a list of structs of the candidate's index and score, best
    first."""
    return _map(requests, ListRanker, workers, batch_size, options)


def _map(
    dataset: Dataset,
    kind: type[Scorer | ListRanker],
    workers: int,
    batch_size: int,
    options: dict[str, Any],
) -> Dataset:
    with needs("lanerank.ray", "'ray[data]'"):
        from ray.data import ActorPoolStrategy

    # Ray sizes blocks by bytes. A pair has few bytes for its computing time, so whole files would
    # be one actor's work. This splits them in order, without a shuffle.
    blocks = dataset.repartition(target_num_rows_per_block=BLOCK_BATCHES * batch_size)
    return blocks.map_batches(
        kind,
        fn_constructor_kwargs=options,
        compute=ActorPoolStrategy(size=workers),
        batch_format="pyarrow",
        batch_size=batch_size,
        # An actor computes on one core. If it reserved it, readers and writers could not start.
        num_cpus=0.5,
        udf_modifying_row_count=False,
    )
