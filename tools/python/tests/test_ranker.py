"""Ranker on the model inside the package: ways to call it, scores, errors."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
from conftest import passages

import lanerank
from lanerank import Hit, Ranker, RerankRequest

QUERY = "how do I keep bread fresh"
TEXTS = [
    "The lighthouse was built in 1847.",
    "The refrigerator dries bread out; a paper bag in a box keeps it longest.",
    "How to bake bread in a cast iron pot",
]


def command_line(*args, stdin=""):
    return subprocess.run(
        [sys.executable, "-m", "lanerank", *args], input=stdin, capture_output=True, text=True
    )


def test_the_bits_are_the_librarys(ranker):
    lines = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS)
    hits = json.loads(command_line("rerank", "--query", QUERY, "--json", stdin=lines).stdout)
    # JSON has the shortest digits that round-trip the 32-bit float.
    expected = {hit["index"]: numpy.float32(hit["score"]) for hit in hits}
    scores = ranker.scores(QUERY, TEXTS)
    assert all(numpy.float32(score) == score == expected[i] for i, score in enumerate(scores))
    found = ranker.rank(QUERY, TEXTS)
    assert [hit.index for hit in found] == [hit["index"] for hit in hits] == [1, 2, 0]
    assert [numpy.float32(hit.logit) for hit in found] == [
        numpy.float32(hit["logit"]) for hit in hits
    ]
    assert [hit.score for hit in found] == [scores[hit.index] for hit in found]


def test_the_forms_of_rerank_agree(ranker):
    scores = ranker.scores(QUERY, TEXTS)
    expected = [(i, scores[i]) for i in (1, 2, 0)]
    new = ranker.rerank(RerankRequest(query=QUERY, passages=passages(TEXTS)))
    assert [(result["id"], result["score"]) for result in new] == expected
    assert ranker.rerank(QUERY, passages(TEXTS)) == new
    old = ranker.rerank(QUERY, TEXTS)
    assert old == [{"score": score, "passage": TEXTS[i]} for i, score in expected]
    assert ranker.rerank(QUERY, tuple(TEXTS)) == old


def test_requests_are_as_flashranks():
    request = RerankRequest()
    assert request.query is None and request.passages == []
    assert RerankRequest("q", [{"text": "t"}]).passages == [{"text": "t"}]


def test_empty_and_odd_texts_have_scores(ranker):
    assert (
        ranker.rerank(RerankRequest(QUERY, []))
        == []
        == ranker.rank(QUERY, [])
        == ranker.scores(QUERY, [])
    )
    odd = ["", "\0", "\N{GRINNING FACE}" * 9, "word " * 5000, "\ufffd", "[SEP]"]
    scores = ranker.scores("", odd)
    assert len(scores) == len(odd) and all(0 <= score <= 1 for score in scores)
    assert ranker.scores("", iter(odd)) == scores == ranker.scores("", tuple(odd))
    assert ranker.scores("", numpy.array(odd[2:])) == scores[2:]


def test_rank_cuts_and_blends(ranker):
    assert [hit.index for hit in ranker.rank(QUERY, TEXTS, 2)] == [1, 2]
    assert ranker.rank(QUERY, TEXTS, top_k=0) == []
    ours = ranker.rank(QUERY, TEXTS, first_stage=[9, 1, 2], weight=1.0)
    assert [hit.index for hit in ours] == [1, 2, 0]
    theirs = ranker.rank(QUERY, TEXTS, first_stage=[9, 1, 2], weight=0.0)
    assert [hit.index for hit in theirs] == [0, 2, 1]
    z = (numpy.array([9, 1, 2.0]) - 4) / numpy.std([9, 1, 2.0])
    assert [hit.fused for hit in theirs] == pytest.approx([z[0], z[2], z[1]], abs=1e-6)
    for bad in ([1.0, 2.0], [1.0, 2.0, float("nan")]):
        with pytest.raises(ValueError):
            ranker.rank(QUERY, TEXTS, first_stage=bad)


def test_hits_say_what_was_cut():
    short = Ranker(max_length=16)
    [hit] = short.rank("one two three", ["word " * 50])
    # 16 tokens minus three special tokens and the query's three.
    assert (hit.query_tokens_cut, hit.passage_tokens_cut) == (0, 40)
    assert short.max_length == 16 and short.scores("q", ["word " * 50]) == short.scores(
        "q", ["word " * 90]
    )
    assert (
        repr(Hit(3, 0.5, 0.0, passage_tokens_cut=4))
        == "Hit(index=3, score=0.5, logit=0.0, passage_tokens_cut=4)"
    )
    assert Hit(3, 0.5, 0.0) == Hit(3, 0.5, 0.0) != Hit(3, 0.5, 0.25)


def test_max_length_is_at_most_the_models(ranker):
    assert ranker.max_length == 512 == Ranker(max_length=10_000).max_length
    for bad in (0, 2):
        with pytest.raises(ValueError, match="max_length"):
            Ranker(max_length=bad)
    with pytest.raises(OverflowError):
        Ranker(max_length=-1)


def test_threads_change_no_bit(ranker):
    texts = TEXTS * 40
    assert (
        Ranker(threads=1).scores(QUERY, texts)
        == Ranker(threads=3).scores(QUERY, texts)
        == ranker.scores(QUERY, TEXTS) * 40
    )
    with pytest.raises(ValueError, match="threads"):
        Ranker(threads=0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda r: r.scores(None, TEXTS), TypeError, "query is NoneType, not str"),
        (lambda r: r.scores(QUERY, TEXTS[0]), TypeError, "texts is str, not a list"),
        (lambda r: r.scores(QUERY, {"id": "text"}), TypeError, "texts is dict, not a list"),
        (lambda r: r.scores(QUERY, ["a", 3]), TypeError, r"texts\[1\] is int, not str"),
        (lambda r: r.scores(QUERY, 3), TypeError, "texts is int, not a list"),
        (lambda r: r.scores(QUERY, ["a", "\ud800"]), UnicodeEncodeError, "surrogates not allowed"),
        (lambda r: r.rank(QUERY, [b"bytes"]), TypeError, r"texts\[0\] is bytes"),
        (
            lambda r: r.rerank(RerankRequest(QUERY, [{"text": "a"}, {"id": 1}])),
            KeyError,
            r"passages\[1\] has no 'text'",
        ),
        (
            lambda r: r.rerank(RerankRequest(QUERY, [{"text": None}])),
            TypeError,
            r"passages\[0\] is NoneType, not str",
        ),
        (
            lambda r: r.rerank(RerankRequest(QUERY, [7])),
            TypeError,
            r"passages\[0\] is int, neither dict nor str",
        ),
        (lambda r: r.rerank(RerankRequest(None, passages())), TypeError, "query is NoneType"),
        (lambda r: r.rerank(QUERY), TypeError, "needs passages"),
        (lambda r: r.rerank(RerankRequest(QUERY), ["a"]), TypeError, "in the request"),
        (lambda r: r.rerank(QUERY, ["a"], inplace=True), TypeError, "not into strings"),
        (lambda r: r.rerank(QUERY, ({"text": "a"},), inplace=True), TypeError, "not tuple"),
    ],
)
def test_wrong_arguments_are_named(ranker, call, error, message):
    with pytest.raises(error, match=message):
        call(ranker)


def test_a_failed_call_changes_nothing(ranker):
    mine = [{"text": "a"}, {"text": 1}]
    with pytest.raises(TypeError):
        ranker.rerank(RerankRequest(QUERY, mine), inplace=True)
    assert mine == [{"text": "a"}, {"text": 1}]


def test_a_tier_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setenv("LANERANK_ISA", "portable")
    assert Ranker().isa == "portable"
    monkeypatch.setenv("LANERANK_ISA", "abacus")
    with pytest.raises(RuntimeError, match="abacus"):
        Ranker()


def test_the_command_line():
    done = command_line("--version")
    assert (done.returncode, done.stdout) == (0, f"lanerank {lanerank.__version__}\n")
    done = command_line("rerank", "--no-such-option")
    assert done.returncode == 2 and "--no-such-option" in done.stderr
    assert command_line("inspect", "--check").returncode == 0


def test_importing_imports_little():
    code = (
        "import sys; before = set(sys.modules); import lanerank; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {
        "__future__",
        "lanerank",
        "lanerank._lanerank",
        "lanerank._models",
    }


def test_the_readmes_examples(capsys):
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    first, plain = re.findall(r"```python\n(.*?)```", readme, re.S)[:2]
    names = {}
    exec(first, names)
    printed, comment = capsys.readouterr().out.strip(), first.strip().splitlines()[-1]
    assert comment == f"# {printed}"
    exec(plain, names)
    assert [hit.index for hit in names["blended"]] == [1, 2, 0]
