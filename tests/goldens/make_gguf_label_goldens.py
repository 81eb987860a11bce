#!/usr/bin/env python3
"""Writes tests/data/sources/two-labels.gguf, the tiny model of make_source_goldens.py with two
labels whose names say that label 0 is the relevant one, and two-labels.json, the logits of
transformers.

    pip install -r tests/peers/requirements.txt && python tests/goldens/make_gguf_label_goldens.py

Made with gguf 0.19, transformers 5.23.0 and torch 2.15.0.
"""

import json
import make_source_goldens as sources
import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertForSequenceClassification


def main():
    w = sources.make_weights()
    r = torch.Generator().manual_seed(5)
    second = torch.randint(-127, 128, w["classifier.weight"].shape, generator=r) * 2.0**-6
    w["classifier.weight"] = torch.cat([w["classifier.weight"], second])
    w["classifier.bias"] = torch.tensor([0.25, -0.5])
    labels = ["relevant", "not_relevant"]
    sources.write_gguf(w, "two-labels.gguf", "f16", labels=labels)
    folder = sources.OUT / "model"
    config = BertConfig.from_pretrained(folder, num_labels=2)
    model = BertForSequenceClassification(config).eval()
    model.load_state_dict(w, strict=True)
    tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
    tokenizer.enable_truncation(sources.POSITIONS, strategy="longest_first")
    cases = []
    for query, passage in sources.PAIRS:
        e = tokenizer.encode(query, passage)
        ids, mask, types = (torch.tensor([row]) for row in (e.ids, e.attention_mask, e.type_ids))
        logits = model(ids, attention_mask=mask, token_type_ids=types).logits[0].tolist()
        cases.append(dict(query=query, passage=passage, logits=logits))
    path = sources.OUT / "two-labels.json"
    path.write_text(json.dumps(dict(cases=cases), indent=1) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with torch.no_grad():
        main()
