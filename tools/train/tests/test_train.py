"""Parts of training whose errors would go unnoticed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from lanerank_train import pool, sources
from lanerank_train.batches import chunks
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
    monkeypatch.setattr(sources, "debian_package", lambda name, folder: tmp_path / "none")
    monkeypatch.setattr(sources, "wordnet", lambda root: [])
    (tmp_path / "race.jsonl.gz").write_bytes(b"")
    assert "race" not in sources.read_all(tmp_path, tmp_path)
    assert "race.jsonl.gz" in capsys.readouterr().out


def test_html_sections(tmp_path):
    text = "word " * 30
    (tmp_path / "a.html").write_text(
        f"<h2>1.2. Full Text Search</h2><script>x</script><p>{text}</p>"
    )
    assert sources.html_sections(tmp_path) == [("Full Text Search", text.strip())]


def test_made_up_queries_come_from_their_passage():
    passage = " ".join(f"alpha{i} beta{i}. Gamma{i} delta{i}" for i in range(20))
    for query, label, made_from, _ in pool.made_up([passage] * 50, 3):
        assert label == -1
        assert all(word in passage for word in query.split()), made_from


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
