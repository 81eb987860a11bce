"""Rerank jobs on Ray Data."""

import os
import signal

import psutil
import pytest
import ray
from conftest import PARTS, same_rows
from pairs import tables, write_parquet
from pyarrow import parquet

from lanerank import Ranker
from lanerank.ray import rank, score


@pytest.fixture(scope="module", autouse=True)
def cluster():
    # Otherwise Ray's workers wait for other work on the machine.
    os.environ["RAY_worker_niceness"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


def actors():
    """Process ids of the scoring actors."""
    return {
        process.pid
        for process in psutil.Process().children(recursive=True)
        if process.status() != psutil.STATUS_ZOMBIE
        and "MapWorker(MapBatches(Scorer))" in " ".join(process.cmdline())
    }


def rows(table):
    return list(zip(table["id"].to_pylist(), table["score"].to_pylist()))


@pytest.fixture(scope="module")
def dataset(columns):
    """The 100,000 pairs in PARTS blocks."""
    return ray.data.from_arrow(tables(columns, PARTS))


# 77: batches end within queries.
@pytest.mark.parametrize("workers, batch_size", [(2, 1024), (1, 77)])
def test_the_bits_of_a_single_process(dataset, expected, workers, batch_size):
    scored = score(dataset, workers=workers, batch_size=batch_size)
    found = []
    for table in scored.iter_batches(batch_format="pyarrow", batch_size=None):
        assert table.schema.names == ["id", "query", "passage", "score"]
        found += rows(table)
    same_rows(found, expected)


def test_a_killed_worker_loses_and_doubles_nothing(dataset, expected):
    found, before, after = [], set(), set()
    for table in score(dataset, workers=2).iter_batches(batch_format="pyarrow", batch_size=None):
        found += rows(table)
        if before:
            after |= actors()
        else:
            assert len(found) < len(expected) / 2, "too late to show anything"
            before = actors()
            killed = max(before, key=lambda pid: psutil.Process(pid).cpu_times().user)
            os.kill(killed, signal.SIGKILL)
    assert not psutil.pid_exists(killed) and after - before, "no other worker took its place"
    same_rows(found, expected)


def test_parquet_in_and_out(columns, expected, tmp_path):
    few = {name: values[:1000] for name, values in columns.items()}
    write_parquet(few, tmp_path / "pairs", 2)
    score(ray.data.read_parquet(str(tmp_path / "pairs"))).write_parquet(str(tmp_path / "scored"))
    same_rows(rows(parquet.read_table(tmp_path / "scored")), {i: expected[i] for i in few["id"]})


def test_rankings(requests, rankings):
    found = rank(ray.data.from_items(requests), batch_size=2).take_all()
    for row in found:
        ranking = row["ranking"]
        assert (ranking and [(place["index"], place["score"]) for place in ranking]) == (
            rankings[row["id"]]
        )
    assert sorted(row["id"] or 0 for row in found) == sorted(row["id"] or 0 for row in requests)


def test_options_and_nothing():
    short = [{"q": "how to keep bread fresh", "p": "bread and water " * 40}]
    options = {"max_length": 16, "query": "q", "passage": "p", "output": "relevance"}
    [row] = score(ray.data.from_items(short), **options).take_all()
    assert row["relevance"] == Ranker(max_length=16).scores(short[0]["q"], [short[0]["p"]])[0]
    nothing = ray.data.from_items([{"query": "q", "passage": "p"}]).filter(lambda row: False)
    assert score(nothing).take_all() == []


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
def test_mistakes_are_named(row, options, words):
    with pytest.raises(Exception) as caught:
        score(ray.data.from_items([row]), **options).take_all()
    assert words in str(caught.value)
