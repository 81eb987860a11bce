#!/usr/bin/env python3
"""Writes tests/data/sources/one-type.json: logits of tests/data/sources/model without token types.

    pip install -r tests/peers/requirements.txt && python tests/goldens/make_token_type_goldens.py

The tokenizer's `model_input_names` lack `token_type_ids`. Made with transformers 5.23.0.
"""

import json, shutil, tempfile
from pathlib import Path
import torch
from transformers import BertForSequenceClassification, BertTokenizer

DATA = Path(__file__).parents[1] / "data/sources"
PAIRS = [
    ("what is a river bank", "The bank of a river is the land by the water."),
    ("how does the search model rank", "The model scores the query [MASK] with the passage."),
    ("why", "b"),
]

with tempfile.TemporaryDirectory() as folder:
    folder = Path(folder) / "model"
    shutil.copytree(DATA / "model", folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["model_input_names"] = ["input_ids", "attention_mask"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = BertTokenizer.from_pretrained(folder)
    model = BertForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    cases = []
    for query, passage in PAIRS:
        inputs = tokenizer(query, passage, truncation=True, return_tensors="pt")
        assert "token_type_ids" not in inputs
        with torch.no_grad():
            logit = model(**inputs).logits[0].tolist()
        cases.append(dict(query=query, passage=passage, logits=logit))
(DATA / "one-type.json").write_text(json.dumps(dict(cases=cases), indent=1) + "\n")
