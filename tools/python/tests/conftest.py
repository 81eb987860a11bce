"""Models for the tests: the tiny models of the goldens, in the layouts that users have."""

import json
import shutil
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[3] / "tests/data"
QUERIES = [
    "what is a river bank",
    "how does the search engine rank a passage",
    "why is rust memory safe",
    "dog",
]
PASSAGES = [
    "The bank of a river is the land by the water.",
    "A bank lends money: loans, scores and ranking.",
    "The model scores the query with the passage, and the engine ranks by score.",
    "Rust compiles to a safe model of memory.",
    "The dog ran with the cat.",
    "the river bank flooded and the water ran on, the dog ran with it. " * 6,
    "",
]


def flashrank_folder(cache, onnx="torch_eager", labels="one-label"):
    """FlashRank's cache_dir after it downloaded its default model, with a tiny model instead."""
    from tokenizers import BertWordPieceTokenizer

    source = DATA / "onnx" / labels
    folder = Path(cache) / "ms-marco-TinyBERT-L-2-v2"
    folder.mkdir(parents=True)
    shutil.copy(source / f"{onnx}.onnx", folder / "flashrank-TinyBERT-L-2-v2.onnx")
    shutil.copy(source / "config.json", folder)
    # One piece occurs twice, and the later one counts; a tokenizer.json cannot express that.
    pieces = (source / "vocab.txt").read_text().splitlines()
    pieces = [
        f"[unused{i}]" if piece in pieces[i + 1 :] else piece for i, piece in enumerate(pieces)
    ]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n")
    BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True).save(
        str(folder / "tokenizer.json")
    )
    special = {
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "mask_token": "[MASK]",
    }
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    settings = {
        "do_lower_case": True,
        "model_max_length": 64,
        "tokenizer_class": "BertTokenizer",
        **special,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return Path(cache)


def passages(texts=PASSAGES):
    """Passages in FlashRank's form."""
    return [{"id": i, "text": text, "meta": {"line": [i]}} for i, text in enumerate(texts)]


@pytest.fixture(scope="session")
def ranker():
    """A ranker on the model inside the package."""
    from lanerank import Ranker

    return Ranker()


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """Caches for this test only, and no network."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("LANERANK_CACHE", str(tmp_path / "lanes"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("LANERANK_MODEL", raising=False)
    return tmp_path
