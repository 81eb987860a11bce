"""Rerank jobs on Ray Data.

    import ray
    from lanerank.ray import rank, score

    pairs = ray.data.read_parquet("pairs/")             # query, passage, and whatever else
    score(pairs, workers=8).write_parquet("scored/")    # the same with `score`

    requests = ray.data.read_parquet("requests/")       # query, candidates: a list of texts
    rank(requests, workers=8).write_parquet("ranked/")  # the same with `ranking`: [{index, score}, ...]

Both run a pool of `workers` actors, as many as there are cores, each with a model of its own. `options` are
`model_name`, `cache_dir` and `max_length` of lanerank.Ranker, and the names of columns: `query`,
`passage` or `candidates`, `output`. A missing text gives a null score, and a missing list a null ranking.
"""

from __future__ import annotations

from ._columns import ListRanker, Scorer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ray.data import Dataset

#: Batches of a block, which is what an actor takes, and computes again after another has died.
BLOCK_BATCHES = 4

__all__ = ["ListRanker", "Scorer", "rank", "score"]


def score(pairs: Dataset, *, workers: int = 1, batch_size: int = 1024, **options: Any) -> Dataset:
    """The rows with a score each, a float32."""
    return _map(pairs, Scorer, workers, batch_size, options)


def rank(requests: Dataset, *, workers: int = 1, batch_size: int = 16, **options: Any) -> Dataset:
    """The rows with a ranking each: a list of structs of the candidate's index and its score, best first."""
    return _map(requests, ListRanker, workers, batch_size, options)


def _map(
    dataset: Dataset, kind: type[Scorer | ListRanker], workers: int, batch_size: int, options: dict[str, Any]
) -> Dataset:
    from ray.data import ActorPoolStrategy

    # Ray's blocks go by bytes, of which a pair has few for the time that it takes: whole files of texts would be one
    # actor's work. This cuts them as they come, without a shuffle.
    blocks = dataset.repartition(target_num_rows_per_block=BLOCK_BATCHES * batch_size)
    return blocks.map_batches(
        kind,
        fn_constructor_kwargs=options,
        compute=ActorPoolStrategy(size=workers),
        batch_format="pyarrow",
        batch_size=batch_size,
        # An actor computes on one core. Were all of them in Ray's books, what reads and writes could not start.
        num_cpus=0.5,
        udf_modifying_row_count=False,
    )
