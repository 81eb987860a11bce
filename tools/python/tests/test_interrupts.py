"""Ctrl-C, wrong kinds of input, and packages that are missing."""

import os
import signal
import socket
import sys
import threading
import time

import pytest
from conftest import DATA, PASSAGES, QUERIES

import lanerank.integrations
from lanerank import Encoder, Ranker, RerankRequest

# Minutes of work: whoever waits for the end has not heard the signal.
MANY = ["one two three " * 200] * 100_000


@pytest.fixture(autouse=True)
def default_handler():
    """Python's own handler, even where a shell has started the tests with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupted(call):
    """Presses Ctrl-C during the call. Returns the seconds from there to the exception."""
    pressed = []

    def press():
        time.sleep(0.4)
        pressed.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            call()
            thread.join()
        took = time.monotonic() - pressed[0]
    finally:
        thread.join()
    print(f"{1e3 * took:.0f} ms after the signal")
    return took


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "call",
    [
        lambda r: r.scores(QUERIES[0], MANY),
        lambda r: r.rank(QUERIES[0], MANY),
        lambda r: r.rerank(RerankRequest(QUERIES[0], [{"text": text} for text in MANY])),
    ],
)
def test_ctrl_c_stops_ranking_and_the_ranker_works_on(call, threads):
    ranker = Ranker(threads=threads)
    expected = ranker.scores(QUERIES[0], PASSAGES)
    # The promise is 100 ms; a busy machine may need longer.
    assert interrupted(lambda: call(ranker)) < 5
    assert ranker.scores(QUERIES[0], PASSAGES) == expected


def test_ctrl_c_stops_embedding(encoder):
    expected = encoder.encode_lists(PASSAGES)
    assert interrupted(lambda: encoder.encode_lists(MANY * 4)) < 5
    assert encoder.encode_lists(PASSAGES) == expected


def test_ctrl_c_stops_a_download(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert interrupted(lambda: Ranker("ms-marco-MiniLM-L-12-v2")) < 5
    assert Ranker().scores("a", ["b"])


def test_a_handler_that_raises_nothing_stops_nothing():
    ranker, called = Ranker(threads=1), []
    texts = ["one two three " * 200] * 300
    expected = ranker.scores("query", texts)
    before = signal.signal(signal.SIGALRM, lambda *_: called.append(True))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
        assert ranker.scores("query", texts) == expected
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert called


def test_an_exception_of_a_handler_is_raised():
    class Alarm(Exception):
        pass

    def raises(*_):
        raise Alarm

    before = signal.signal(signal.SIGALRM, raises)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(Alarm):
            Ranker().scores("query", MANY)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_other_threads_are_not_interrupted():
    ranker, found = Ranker(threads=1), []
    texts = ["one two three " * 200] * 400
    expected = ranker.scores("query", texts)
    thread = threading.Thread(target=lambda: found.append(ranker.scores("query", texts)))
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    thread.join()
    assert found == [expected]


@pytest.mark.parametrize("wrong", ["abc", b"abc", bytearray(b"abc"), {"text": "a"}, 7, None])
def test_one_text_is_not_a_list_of_texts(ranker, encoder, wrong):
    kind = type(wrong).__name__
    words = f"{kind}, not a list"
    for call in [ranker.scores, ranker.rank]:
        with pytest.raises(TypeError, match=f"^texts is {words}"):
            call("query", wrong)
    with pytest.raises(TypeError, match=f"^texts is {words}"):
        encoder.encode_lists(wrong)
    if wrong is not None:  # RerankRequest's default
        with pytest.raises(TypeError, match=f"^passages is {words}"):
            ranker.rerank(RerankRequest("query", wrong))
        with pytest.raises(TypeError, match=f"^passages is {words}"):
            ranker.rerank("query", wrong)


@pytest.mark.parametrize("wrong", [None, b"abc", 7, ["a"]])
def test_wrong_items_are_named(ranker, wrong):
    kind = type(wrong).__name__
    with pytest.raises(TypeError, match=rf"texts\[1\] is {kind}"):
        ranker.scores("query", ["a", wrong])
    with pytest.raises(TypeError, match=rf"passages\[1\] is {kind}"):
        ranker.rerank("query", ["a", wrong])
    with pytest.raises(TypeError, match=rf"passages\[1\] is {kind}"):
        ranker.rerank("query", [{"text": "a"}, {"text": wrong}])


def test_too_many_threads_are_refused():
    with pytest.raises(ValueError, match="threads: 100000 is above"):
        Ranker(threads=100_000)


def test_missing_packages_are_named(monkeypatch, encoder):
    for module, package, call in [
        ("numpy", "numpy", lambda: encoder.encode(["a"])),
        ("langchain_core", "langchain-core", lambda: lanerank.integrations.LangChainReranker),
        ("llama_index", "llama-index-core", lambda: lanerank.integrations.LlamaIndexReranker),
        ("haystack", "haystack-ai", lambda: lanerank.integrations.HaystackRanker),
        ("rerankers", "rerankers", lambda: lanerank.integrations.RerankersRanker),
    ]:
        with monkeypatch.context() as without:
            for name in list(sys.modules):
                if name.partition(".")[0] == module:
                    without.delitem(sys.modules, name)
            without.setitem(sys.modules, module, None)
            with pytest.raises(ModuleNotFoundError, match=f"pip install {package}$"):
                call()


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    cache = tmp_path_factory.mktemp("lanes")
    return Encoder(str(DATA / "model" / "mean-pooled"), cache_dir=str(cache))
