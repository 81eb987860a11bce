"""Parts of training whose errors would go unnoticed."""

import random
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from lanerank_train import pool, sources, twins, variants
from lanerank_train.batches import chunks, choose, target
from lanerank_train.finish import balance, expected_calibration_error
from lanerank_train.model import CrossEncoder, state_for_hugging_face


def pairs(count: int):
    rng = np.random.default_rng(0)

    def ids(longest):
        return rng.integers(1000, 30000, rng.integers(1, longest)).astype(np.uint16)

    return [(ids(12), ids(90)) for _ in range(count)]


def test_logits_are_those_of_transformers():
    torch.manual_seed(0)
    ours = CrossEncoder().eval()
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    config = BertConfig(
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=512,
        num_labels=1,
    )
    theirs = BertForSequenceClassification(config).eval()
    result = theirs.load_state_dict(state_for_hugging_face(ours), strict=False)
    assert not result.unexpected_keys and not result.missing_keys
    with torch.inference_mode():
        for _, (ids, segments, positions, lengths) in chunks(pairs(20), 600, None):
            mask = torch.arange(ids.shape[1])[None] < lengths[:, None]
            expected = theirs(ids, attention_mask=mask, token_type_ids=segments).logits[:, 0]
            torch.testing.assert_close(
                ours(ids, segments, positions, lengths), expected, atol=1e-5, rtol=1e-4
            )


def test_chunks_hold_every_pair_once_and_stay_within_their_size():
    made = pairs(50)
    seen = []
    for rows, (ids, segments, _, lengths) in chunks(made, 500, None):
        seen += rows.tolist()
        assert ids.numel() <= 500
        for row, number in enumerate(rows):
            query, passage = made[number]
            assert ids[row, 1 : 1 + len(query)].tolist() == query.tolist()
            assert ids[row, len(query) + 2 : lengths[row] - 1].tolist() == passage.tolist()
            assert segments[row].sum() == len(passage) + 1
    assert sorted(seen) == list(range(50))


def test_shifted_positions_stay_in_the_table():
    shifts = np.full(30, 450)
    for _, (_, _, positions, _) in chunks(pairs(30), 500, shifts):
        assert positions.max() < 512


def test_a_source_without_a_licence_is_left_out(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sources, "wordnet", lambda debian: debian)
    monkeypatch.setattr(sources, "definitions", lambda root: [])
    (tmp_path / "race.jsonl.gz").write_bytes(b"")
    assert "race" not in sources.read_all(tmp_path, tmp_path)
    assert "race.jsonl.gz" in capsys.readouterr().out


def test_wordnet_is_read(tmp_path):
    (tmp_path / "data.noun").write_text(
        "  1 licence\n"
        "00001740 03 n 02 car 0 motor_car 0 001 @ 00001930 n 0000 | a thing on four wheels\n"
        "00001930 03 n 01 car 0 000 | a wagon\n"
    )
    (tmp_path / "index.noun").write_text(
        "  1 licence\ncar n 2 1 @ 2 1 00001740 00001930\nmotor_car n 1 1 @ 1 0 00001740\n"
    )
    for part in ("verb", "adj"):
        for kind in ("data", "index"):
            (tmp_path / f"{kind}.{part}").write_text("")
    assert sources.synonyms(tmp_path) == {"car": ["motor car"]}


def test_generated_queries_come_from_their_passage():
    texts = pool.Texts()
    for n in range(50):
        words = (f"alpha{n}x{i} beta{i}. Gamma{i} delta{i}" for i in range(20))
        texts.passage(" ".join(words), None, 0)
    pool.add_generated(texts, random.Random(0))
    passages = list(texts.passages)
    assert len(texts.queries) == 50
    for query, right in zip(texts.queries, texts.columns["right"], strict=True):
        assert all(word in passages[right] for word in query.split())
    assert set(texts.columns["label"]) == {-1}


def test_exchanges_go_both_ways():
    query, passage = "dose of aspirin 300 mg", "Take 300 mg of aspirin."
    source, rng = twins.Source([(query, passage)]), random.Random(0)
    made = [source.twin(query, passage, rng) for _ in range(90)]
    assert sum(twin is not None for twin in made) > 60
    for twin in filter(None, made):
        assert twin.passage != passage
        if twin.query:
            old = set(query.split()) - set(twin.query.split())
            new = set(twin.query.split()) - set(query.split())
            assert len(old) == len(new) == 1
            assert new.pop() in twin.passage and old.pop() not in twin.passage


@pytest.mark.parametrize("number", ["1998", "3.11", "7", "1,000", "42"])
def test_other_numbers_keep_the_form(number):
    rng = random.Random(0)
    for _ in range(50):
        other = twins.other_number(number, rng)
        assert re.sub(r"\d", "0", other) == re.sub(r"\d", "0", number)


def test_numbers_are_found_whole():
    assert twins.NUMBER.findall("3.11, 1,000 or 5. B12 x86 2019-2020 7%") == [
        "3.11", "1,000", "5", "2019", "2020", "7",
    ]  # fmt: skip


def test_negation_comes_and_goes():
    assert twins.negated("Bread is baked. Cats can eat cheese.", {"cats", "cheese"}) == (
        "Bread is baked. Cats can not eat cheese."
    )
    assert twins.negated("Cats should not eat cheese.", {"cats", "cheese"}) == (
        "Cats should eat cheese."
    )
    assert twins.negated("Nothing in common here.", {"cats"}) is None


def test_variants_differ_from_their_query():
    rng = random.Random(0)
    query = "What is the price of a used car?"
    made = [variants.variant(query, {"price": ["cost"]}, rng) for _ in range(100)]
    assert len(set(made)) > 20 and query not in made
    assert any(text and "cost" in text for text in made)
    slips = {variants.slip("price", rng) for _ in range(100)}
    assert len(slips) > 8 and all(4 <= len(slip) <= 6 for slip in slips)


class Scripted(SimpleNamespace):
    """A pool of 100 passages: query 0 has a twin (100), query 1 is the same exchange."""

    def __init__(self):
        super().__init__(
            label=np.array([7, 100]),
            wrong=np.array([100, 7]),
            right=np.array([7, 100]),
            decoy=np.array([-1, -1]),
            gap=np.array([6.0, 6.0]),
            means=np.array([0, 0]),
            candidates=np.array([np.arange(20)]),
            near=np.array([np.arange(10, 22)]),
            passage_origin=np.zeros(100),
            teachers=SimpleNamespace(cosines=lambda query, group: np.full(len(group), 0.5)),
        )


@pytest.mark.parametrize(("query", "right", "wrong"), [(0, 7, 100), (1, 100, 7)])
def test_a_twin_is_in_the_group_and_below_what_it_is_a_twin_of(query, right, wrong):
    made = Scripted()
    for seed in range(20):
        group = choose(made, query, 8, np.random.default_rng(seed))
        assert len(set(group)) == 8 and group[0] == right and wrong in group
        scores = target(made, query, group, 0.0)
        assert scores[0] - scores[group == wrong] == pytest.approx(6.0)


def test_calibration_error():
    scores = np.repeat([0.25, 0.75], 400)
    truths = np.concatenate([np.arange(400) % 4 == 0, np.arange(400) % 4 != 0]).astype(float)
    even = np.ones(800)
    assert expected_calibration_error(scores, truths, even) < 1e-9
    assert expected_calibration_error(scores, 1 - truths, even) == pytest.approx(0.5)
    # In the upper half, with scores of .75, labels weigh as much as the rest.
    weights = balance(torch.from_numpy(truths[400:])).numpy()
    error = expected_calibration_error(scores[400:], truths[400:], weights)
    assert error == pytest.approx(0.25)


def test_the_command_line_starts():
    run = subprocess.run(
        [sys.executable, "-m", "lanerank_train", "--help"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    assert run.returncode == 0 and "--pairs" in run.stdout
