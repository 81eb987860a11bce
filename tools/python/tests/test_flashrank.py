"""Compares with FlashRank from PyPI on the same model folder."""

import copy
import importlib.metadata
import json
import re

import numpy
import pytest
from conftest import PASSAGES, QUERIES, flashrank_folder, passages

import flashrank
import lanerank


def both(cache, dtype, **options):
    return flashrank.Ranker(cache_dir=str(cache), **options), lanerank.Ranker(
        cache_dir=cache, dtype=dtype, **options
    )


def by_id(results):
    return {result["id"]: float(result["score"]) for result in results}


def check_order(theirs, ours, bound):
    """Our order agrees with their scores, except for differences of at most twice the bound."""
    scores = by_id(theirs)
    order = [scores[result["id"]] for result in ours]
    assert all(
        later <= earlier + 2 * bound for i, earlier in enumerate(order) for later in order[i:]
    )


@pytest.mark.parametrize(
    ("labels", "onnx", "dtype", "bound"),
    [
        ("one-label", "torch_eager", "f32", 1e-6),
        ("two-labels", "torch_eager", "f32", 1e-6),
        ("one-label", "torch_eager", "f16", 1e-3),
        ("one-label", "torch_eager", "int8", 5e-3),
        # Includes their rounding, which is over the activations of all passages at once.
        ("one-label", "int8_channel", "int8", 5e-3),
    ],
)
@pytest.mark.parametrize("max_length", [512, 32])
def test_same_order_and_scores(tmp_path, labels, onnx, dtype, bound, max_length):
    theirs, ours = both(
        flashrank_folder(tmp_path / "cache", onnx, labels), dtype, max_length=max_length
    )
    for query in QUERIES:
        expected = theirs.rerank(flashrank.RerankRequest(query, passages()))
        found = ours.rerank(lanerank.RerankRequest(query, passages()))
        assert by_id(found) == pytest.approx(by_id(expected), abs=bound)
        check_order(expected, found, bound)
        if dtype == "f32":
            assert [r["id"] for r in found] == [r["id"] for r in expected]
        for result in found:
            given = passages()[result["id"]]
            assert {key: result[key] for key in given} == given
            assert set(result) == {"id", "text", "meta", "score"}


def test_the_callers_list_is_changed_only_where_asked(tmp_path):
    theirs, ours = both(flashrank_folder(tmp_path), "f32")
    mine, shared = passages(), passages()
    before = copy.deepcopy(mine)
    results = ours.rerank(lanerank.RerankRequest(QUERIES[0], mine))
    assert mine == before and all(result is not passage for result in results for passage in mine)

    expected = theirs.rerank(flashrank.RerankRequest(QUERIES[0], shared))
    assert expected is shared
    returned = ours.rerank(lanerank.RerankRequest(QUERIES[0], mine), inplace=True)
    assert returned is mine and mine == results
    assert [passage["id"] for passage in mine] == [passage["id"] for passage in shared]


def test_their_request_and_scores_that_json_takes(tmp_path):
    theirs, ours = both(flashrank_folder(tmp_path), "f32")
    [found] = ours.rerank(flashrank.RerankRequest(QUERIES[0], passages(PASSAGES[:1])))
    [expected] = theirs.rerank(flashrank.RerankRequest(QUERIES[0], passages(PASSAGES[:1])))
    assert type(found["score"]) is float and json.loads(json.dumps(found)) == found
    assert numpy.float32(found["score"]) == found["score"]
    assert found["score"] == pytest.approx(float(expected["score"]), abs=1e-6)


def readme_example():
    """The code of FlashRank's README on PyPI: the first alternative, then the request."""
    readme = importlib.metadata.metadata("flashrank").get_payload()
    blocks = re.findall(r"```python *\n(.*?)```", readme, re.S)
    [start] = [block for block in blocks if "Ranker(max_length=128)" in block]
    [request] = [block for block in blocks if "rerankrequest = RerankRequest" in block]
    return re.split(r"^or\b", start, flags=re.M)[0] + request


def test_their_readme_with_the_import_changed(capsys):
    code = readme_example()
    assert code.count("from flashrank import") == 1 and "print(results)" in code
    names = {}
    exec(code.replace("from flashrank import", "from lanerank import"), names)
    results = names["results"]
    assert capsys.readouterr().out == f"{results}\n"
    assert sorted(result["id"] for result in results) == [1, 2, 3, 4, 5]
    scores = [result["score"] for result in results]
    assert scores == sorted(scores, reverse=True) and 0 < min(scores) < max(scores) < 1
    assert all(result["meta"] == {"additional": f"info{result['id']}"} for result in results)
    assert not any("score" in passage for passage in names["passages"])
