"""Rerank jobs on Spark.

    from lanerank.spark import rank, rerank_score, score

    score(spark.read.parquet("pairs/"))          # query, passage, any other columns: adds `score`
    rank(spark.read.parquet("requests/"))        # query, candidates: adds `ranking`

    spark.udf.register("rerank_score", rerank_score())
    spark.sql("SELECT id, rerank_score(query, passage) AS score FROM pairs")

Each Python worker has its own model on one core. `options` are `model_name`, `cache_dir` and
`max_length` of lanerank.Ranker, and for `score` and `rank` the names of columns: `query`, `passage`
or `candidates`, `output`. A missing text gives a null score, a missing list a null ranking.
"""

from ._columns import ListRanker, Scorer, pair_scores, ranker
from ._models import needs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, Optional

    import pyarrow
    from pyspark.sql import DataFrame
    from pyspark.sql.types import DataType

__all__ = ["rank", "rerank_score", "score"]


def score(pairs: "DataFrame", **options: "Any") -> "DataFrame":
    """Adds a score, a float, to each row."""
    with needs("lanerank.spark", "pyspark"):
        from pyspark.sql.types import FloatType

    return _map(pairs, Scorer(**options), options.get("output", "score"), FloatType())


def rank(requests: "DataFrame", **options: "Any") -> "DataFrame":
    """Adds a ranking to each row: an array of structs of the candidate's index and score, best
    first."""
    with needs("lanerank.spark", "pyspark"):
        from pyspark.sql.types import (
            ArrayType,
            FloatType,
            IntegerType,
            StructField,
            StructType,
        )

    place = StructType([StructField("index", IntegerType()), StructField("score", FloatType())])
    return _map(requests, ListRanker(**options), options.get("output", "ranking"), ArrayType(place))


def rerank_score(
    model_name: "Optional[str]" = None,
    cache_dir: "Optional[str]" = None,
    max_length: "Optional[int]" = None,
) -> "Callable[..., Any]":
    """A pandas UDF (query, passage) -> score, for columns and, registered, for SQL."""
    with needs("lanerank.spark.rerank_score", "pyspark pandas pyarrow"):
        import pandas
        from pyspark.sql.pandas import functions

    # Its type hints cover only calls with the kind of function as a number.
    pandas_udf: "Any" = functions.pandas_udf

    def rerank_score(query: pandas.Series, passage: pandas.Series) -> pandas.Series:
        scores = pair_scores(
            ranker(model_name, cache_dir, max_length), _texts(query), _texts(passage)
        )
        return pandas.Series(scores, dtype="float32")

    function: "Callable[..., Any]" = pandas_udf(rerank_score, "float")
    return function


def _map(
    frame: "DataFrame", batch_function: "Scorer | ListRanker", output: str, kind: "DataType"
) -> "DataFrame":
    from pyspark.sql.types import StructField, StructType

    def batches(them: "Iterable[pyarrow.RecordBatch]") -> "Iterator[pyarrow.RecordBatch]":
        return map(batch_function, them)

    # Like mapInPandas, without making Python objects of the other columns.
    return frame.mapInArrow(batches, StructType([*frame.schema.fields, StructField(output, kind)]))


def _texts(column: "Any") -> "list[str | None]":
    """A pandas column with None for each of its kinds of missing values."""
    return [None if missing else text for text, missing in zip(column, column.isna())]
