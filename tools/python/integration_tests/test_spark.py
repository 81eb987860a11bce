"""Rerank jobs on Spark. They need a Java of version 17 or later."""

import os
import signal
import threading
import time

import psutil
import pytest
from conftest import same_rows
from pyspark.sql import SparkSession

from lanerank import Ranker
from lanerank.spark import rank, rerank_score, score


@pytest.fixture(scope="module")
def spark():
    """Two threads. A task may fail four times, as on a cluster."""
    builder = SparkSession.builder.master("local[2,4]").config("spark.ui.enabled", "false")
    # One task per file.
    spark = builder.config("spark.sql.files.openCostInBytes", "128m").getOrCreate()
    yield spark
    spark.stop()


def rows(frame):
    return [(row.id, row.score) for row in frame.select("id", "score").collect()]


def test_the_bits_of_a_single_process(spark, folder, expected):
    scored = score(spark.read.parquet(folder))
    assert scored.columns == ["id", "query", "passage", "score"]
    same_rows(rows(scored), expected)


def test_the_function_in_sql(spark, folder, expected):
    spark.udf.register("rerank_score", rerank_score())
    spark.read.parquet(folder).createOrReplaceTempView("pairs")
    # Batches that end within queries, and empty partitions.
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", 777)
    some = "SELECT /*+ REPARTITION(7) */ * FROM pairs WHERE id < 5000"
    found = spark.sql(f"SELECT id, rerank_score(query, passage) AS score FROM ({some})")
    same_rows(rows(found), {i: expected[i] for i in range(5000)})
    best = spark.sql(
        f"SELECT id FROM ({some}) ORDER BY rerank_score(query, passage) DESC LIMIT 10"
    ).collect()
    scores = sorted((expected[i] for i in range(5000) if expected[i] is not None), reverse=True)
    assert [expected[row.id] for row in best] == scores[:10]
    spark.conf.unset("spark.sql.execution.arrow.maxRecordsPerBatch")
    few = spark.createDataFrame(
        [(1, "q", "p")], "id long, query string, passage string"
    ).repartition(8)
    assert few.rdd.getNumPartitions() == 8
    assert rows(score(few)) == [(1, Ranker().scores("q", ["p"])[0])]


def test_map_in_pandas(spark, folder, expected):
    """Works without an adapter: the ranker pickles."""
    ranker = Ranker(threads=1)

    def scored(frames):
        for frame in frames:
            for query, group in frame.groupby("query", sort=False):
                yield group.assign(score=ranker.scores(query, group["passage"]))[["id", "score"]]

    some = spark.read.parquet(folder).where(
        "id < 5000 AND query IS NOT NULL AND passage IS NOT NULL"
    )
    found = some.mapInPandas(scored, "id long, score float")
    same_rows(rows(found), {i: s for i, s in expected.items() if i < 5000 and s is not None})


class Killer(threading.Thread):
    """Kills a Python worker after the first tasks of a job."""

    def __init__(self, spark):
        super().__init__(daemon=True)
        self.status = spark.sparkContext.statusTracker()
        self.killed, self.stage, self.done_before, self.ended = None, None, 0, threading.Event()

    def run(self):
        while self.killed is None and not self.ended.is_set():
            time.sleep(0.02)
            for stage in self.status.getActiveStageIds():
                info = self.status.getStageInfo(stage)
                if (
                    info
                    and 0 < info.numCompletedTasks < info.numTasks / 2
                    and (found := python_workers())
                ):
                    self.killed = max(found, key=lambda process: process.cpu_times().user).pid
                    os.kill(self.killed, signal.SIGKILL)
                    self.stage, self.done_before = stage, info.numCompletedTasks
                    break

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.ended.set()
        self.join()
        if not any(error):
            assert self.killed, "nothing was killed"
            info = self.status.getStageInfo(self.stage)
            assert self.done_before < info.numTasks / 2 and info.numFailedTasks >= 1, info


def python_workers():
    """Spark's Python workers: the children of its daemon, which has the same name."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "pyspark.daemon" in process.cmdline():
                found.append(process)
        except psutil.Error:  # has ended
            pass
    return [process for process in found if any(other.pid == process.ppid() for other in found)]


def test_a_killed_python_worker_loses_and_doubles_nothing(spark, folder, expected):
    with Killer(spark):
        found = rows(score(spark.read.parquet(folder)))
    same_rows(found, expected)


def test_rankings(spark, requests, rankings):
    schema = "id long, query string, candidates array<string>"
    frame = rank(spark.createDataFrame([tuple(row.values()) for row in requests], schema))
    found = {
        row.id: None
        if row.ranking is None
        else [(place["index"], place["score"]) for place in row.ranking]
        for row in frame.collect()
    }
    assert found == rankings
    assert frame.schema["ranking"].simpleString() == "ranking:array<struct<index:int,score:float>>"


@pytest.mark.parametrize(
    "row, options, words",
    [
        ({"query": "q", "passage": 3}, {}, "texts[0] is int, not str"),
        ({"query": "q"}, {}, "passage"),
        ({"query": "q", "passage": "p", "score": 0.5}, {}, "column 'score' exists already"),
        (
            {"query": "q", "passage": "p"},
            {"model_name": "/no/such/model.lane", "max_length": 8},
            "/no/such/model.lane",
        ),
    ],
)
def test_mistakes_are_named(spark, row, options, words):
    frame = spark.createDataFrame([tuple(row.values())], list(row))
    with pytest.raises(Exception) as caught:
        score(frame, **options).collect()
    assert words in str(caught.value)
