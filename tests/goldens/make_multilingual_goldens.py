#!/usr/bin/env python3
"""Writes tests/data/model/multilingual: two logits, texts in twenty languages, by transformers.

    pip install -r tests/peers/requirements.txt
    python tests/goldens/make_multilingual_goldens.py [--data ../shared/data]

A seeded model of 2 layers of 32. The vocabulary is that of bert-base-multilingual-uncased, reduced
to the pieces of its texts: the beginnings of the Universal Declaration of Human Rights
(tests/data/tokenizer/udhr_multilingual.txt). `tests/peers/check_multilingual.py` checks the same
model with the whole vocabulary.
"""

import argparse, json, tempfile
from pathlib import Path
import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertForSequenceClassification
import make_model_goldens as tiny

TESTS = Path(__file__).resolve().parents[1]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
HIDDEN, HEADS, LAYERS, INNER = 32, 2, 2, 64


def read_vocabulary(data):
    """The 105,879 pieces of bert-base-multilingual-uncased."""
    pieces = (
        (data / "vocab/bert-base-multilingual-uncased/vocab.txt").read_text("utf-8").splitlines()
    )
    assert len(pieces) == 105879
    return pieces


def make_model(folder, vocab, positions, dtype):
    """Writes a model folder; returns its tokenizer and the torch model."""
    folder.mkdir(parents=True, exist_ok=True)
    tiny.write_json(
        folder / "config.json",
        dict(
            architectures=["BertForSequenceClassification"],
            model_type="bert",
            hidden_size=HIDDEN,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            intermediate_size=INNER,
            hidden_act="gelu",
            max_position_embeddings=positions,
            type_vocab_size=2,
            vocab_size=len(vocab),
            layer_norm_eps=1e-12,
            pad_token_id=0,
            id2label={"0": "LABEL_0", "1": "LABEL_1"},
        ),
    )
    tiny.write_json(
        folder / "tokenizer_config.json",
        dict(do_lower_case=True, tokenizer_class="BertTokenizer", model_max_length=positions),
    )
    (folder / "vocab.txt").write_text("\n".join(vocab) + "\n", "utf-8")
    tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
    tokenizer.enable_truncation(positions, strategy="longest_first")
    tiny.VOCAB, tiny.POSITIONS = vocab, positions
    w = tiny.make_weights(99, HIDDEN, LAYERS, INNER, 2, True)
    w["classifier.weight"] *= 12  # logits spread about as a trained ranker's do
    stored = {key: value.to(dtype).contiguous() for key, value in tiny.prefixed(w).items()}
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    model = BertForSequenceClassification(
        BertConfig.from_pretrained(folder, attn_implementation="eager")
    )
    model.load_state_dict({key: value.float() for key, value in stored.items()}, strict=True)
    return tokenizer, model.eval()


def logits(model, encoded):
    return np.array([model(**tiny.tensors(e)).logits[0].numpy() for e in encoded])


def write_golden(full):
    lines = (TESTS / "data/tokenizer/udhr_multilingual.txt").read_text("utf-8").splitlines()
    lines = [line for line in lines if len(line) > 60]
    by_script = {}
    for line in lines:
        by_script.setdefault(ord(next(c for c in line if c.isalpha())) // 128, []).append(line)
    texts = [
        (group[i][:24], group[i][10:90])
        for group in by_script.values()
        for i in range(0, min(len(group), 4), 2)
    ]
    with tempfile.TemporaryDirectory() as tmp:
        path = Path(tmp) / "vocab.txt"
        path.write_text("\n".join(full) + "\n", "utf-8")
        whole = BertWordPieceTokenizer(str(path), lowercase=True)
    used = {token for pair in texts for token in whole.encode(*pair).tokens}
    vocab = [piece for piece in full if piece in used or piece in SPECIAL]
    folder = TESTS / "data/model/multilingual"
    tokenizer, model = make_model(folder, vocab, 64, torch.float16)
    encoded = [tokenizer.encode(*pair) for pair in texts]
    unknown = sum(e.tokens.count("[UNK]") for e in encoded) / sum(len(e.ids) for e in encoded)
    assert unknown < 0.1, unknown
    cases = [
        dict(
            query=q,
            passage=p,
            ids=e.ids,
            query_tokens=e.type_ids.count(0),
            logits=tiny.figures(torch.from_numpy(z)),
        )
        for (q, p), e, z in zip(texts, encoded, logits(model, encoded))
    ]
    rows = ",\n".join(" " + json.dumps(case, ensure_ascii=False) for case in cases)
    (folder / "expected.json").write_text(f'{{"max_length": 64, "cases": [\n{rows}\n]}}\n', "utf-8")
    print(f"{folder}: {len(cases)} pairs, {len(vocab)} pieces, {100 * unknown:.1f} % unknown")


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--data", type=Path, default=Path("../shared/data"))
    a = ap.parse_args()
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    write_golden(read_vocabulary(a.data))


if __name__ == "__main__":
    main()
