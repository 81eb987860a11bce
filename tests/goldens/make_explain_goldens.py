#!/usr/bin/env python3
"""Writes tests/data/model/*/explained.json: the effect of each word on the logit, by transformers.

    pip install -r tests/peers/requirements.txt && python tests/goldens/make_explain_goldens.py

For each pair of a cross-encoder's expected.json:
[{"query", "passage", "words": [[start, effect]]}]. `start` is the word's first character in the
passage, in code points. `effect` is the logit minus the logit of BertForSequenceClassification with
the word's tokens masked out (for two labels, the difference of the logits). Words are those before
WordPiece. f32, eval mode.
"""

import json
from pathlib import Path
import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertForSequenceClassification

DATA = Path(__file__).parents[1] / "data/model"


def logit(model, e, hidden):
    mask = [int(i not in hidden) for i in range(len(e.ids))]
    z = model(
        input_ids=torch.tensor([e.ids]),
        token_type_ids=torch.tensor([e.type_ids]),
        attention_mask=torch.tensor([mask]),
    ).logits[0]
    return float(z[0] if len(z) == 1 else z[1] - z[0])


def explain(model, tokenizer, query, passage):
    e = tokenizer.encode(query, passage)
    # `word_ids` restarts in each text.
    words = {}
    for i, (word, sequence) in enumerate(zip(e.word_ids, e.sequence_ids)):
        if sequence == 1:
            words.setdefault(word, []).append(i)
    whole = logit(model, e, ())
    return [
        [e.offsets[tokens[0]][0], float(f"{whole - logit(model, e, tokens):.6g}")]
        for tokens in words.values()
    ]


@torch.no_grad()
def main():
    for folder in sorted(DATA.iterdir()):
        expected = json.loads((folder / "expected.json").read_text())
        if "query" not in expected["cases"][0]:
            continue
        model = BertForSequenceClassification.from_pretrained(
            folder, attn_implementation="eager", dtype=torch.float32
        ).eval()
        tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
        tokenizer.enable_truncation(expected["max_length"], strategy="longest_first")
        pairs = dict.fromkeys((case["query"], case["passage"]) for case in expected["cases"])
        rows = [dict(query=q, passage=p, words=explain(model, tokenizer, q, p)) for q, p in pairs]
        lines = ",\n ".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (folder / "explained.json").write_text(f"[{lines}]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
