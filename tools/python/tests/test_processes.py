"""Threads, forks and pickles."""

import copy
import multiprocessing
import os
import pickle
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
from conftest import PASSAGES, QUERIES, flashrank_folder

from lanerank import Encoder, Hit, HubError, ModelError, Ranker


def test_many_threads_get_the_scores_of_one(ranker):
    expected = {query: ranker.scores(query, PASSAGES) for query in QUERIES}
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: ranker.scores(QUERIES[i % 4], PASSAGES), range(200)))
    assert all(scores == expected[QUERIES[i % 4]] for i, scores in enumerate(found))


def test_scoring_lets_other_threads_run():
    ranker = Ranker(threads=1)
    texts = ["one two three " * 200] * 400
    started, finished = threading.Event(), threading.Event()

    def score():
        started.set()
        ranker.scores("query", texts)
        finished.set()

    thread = threading.Thread(target=score)
    thread.start()
    started.wait()
    turns = 0
    while not finished.is_set():
        turns += 1
        time.sleep(0.001)
    thread.join()
    # A few hundred milliseconds of scoring. With the interpreter lock held, turns would be 1 or 2.
    assert turns > 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_fork_has_threads_of_its_own():
    ranker = Ranker(threads=2)
    texts = PASSAGES * 20
    expected = ranker.scores(QUERIES[0], texts)
    child = os.fork()
    if child == 0:
        # In any case pytest must not continue in the child.
        try:
            signal.alarm(60)
            same = ranker.scores(QUERIES[0], texts) == expected
            del ranker
            os._exit(0 if same else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert ranker.scores(QUERIES[0], texts) == expected


def test_pickles_open_the_same_model(tmp_path, monkeypatch):
    cache = flashrank_folder(tmp_path / "cache")
    monkeypatch.chdir(cache)
    rankers = [
        Ranker(),
        Ranker(max_length=20, threads=1),
        Ranker(cache_dir=".", dtype="f32"),
        Ranker("ms-marco-TinyBERT-L-2-v2", dtype="f16"),
    ]
    pickles = [pickle.dumps(ranker) for ranker in rankers]
    assert all(len(pickled) < 600 for pickled in pickles)
    monkeypatch.chdir(tmp_path)
    for ranker, pickled in zip(rankers, pickles):
        for other in (pickle.loads(pickled), copy.deepcopy(ranker)):
            assert other.scores(QUERIES[0], PASSAGES) == ranker.scores(QUERIES[0], PASSAGES)
            assert other.max_length == ranker.max_length
    [hit] = rankers[0].rank("a", ["b"])
    assert pickle.loads(pickle.dumps(hit)) == hit == copy.copy(hit)
    for error in (ModelError("m"), HubError("h")):
        assert type(pickle.loads(pickle.dumps(error))) is type(error)


def test_workers_take_a_ranker_along():
    ranker = Ranker(max_length=32)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        found = pool.submit(ranker.scores, QUERIES[0], PASSAGES).result(timeout=120)
    assert found == ranker.scores(QUERIES[0], PASSAGES)


def test_hits_have_no_other_attributes():
    with pytest.raises(AttributeError):
        Hit(0, 0.5, 0.0).index = 3
    assert Encoder.__doc__ and Ranker.__doc__ and Ranker.rerank.__doc__
