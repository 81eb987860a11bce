#!/usr/bin/env python3
"""Writes tests/data/prompts/: results of models in tests/data/model, prompts before their texts.

    pip install -r tests/peers/requirements.txt && python tests/goldens/make_prompt_goldens.py

    encoder.json        mean-pooled: vectors by `encode_query`, `encode_document` and `encode`
    cross-encoder.json  old-names: logits by `CrossEncoder.predict`

Each has a list of {"file", "cases"}; "file" is config_sentence_transformers.json. sentence-
transformers reads it only beside a modules.json, and only for the kind of model that it names
(SentenceTransformer, if it names none). Made with sentence-transformers 6.2.0 in f32.
"""

import json, shutil, tempfile
from pathlib import Path
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer

DATA = Path(__file__).parents[1] / "data"
FILES = [
    {"prompts": {"query": "query: ", "document": "passage - "}, "default_prompt_name": None},
    {"prompts": {"query": "rank for: ", "x": "model "}, "default_prompt_name": "x"},
    {"prompts": {"x": "the river, "}, "default_prompt_name": "x"},
    {"prompts": {"query": "q", "passage": "not used "}, "default_prompt_name": "query"},
]
CROSS_ENCODER = {"model_type": "CrossEncoder"}
PAIRS = [
    ("what is a river bank", "The bank of a river is the land by the water."),
    ("how does the search model rank", "The model scores the query with the passage."),
    ("", "The dog ran with it. " * 8),
    ("ing", "b"),
]


def write(name, groups):
    (DATA / "prompts" / name).write_text(json.dumps(groups, indent=1) + "\n")


def copy(model, folder, file):
    source = DATA / "model" / model
    if model == "old-names":
        CrossEncoder(str(source), device="cpu").save_pretrained(str(folder))
    else:
        shutil.copytree(source, folder)
    (folder / "config_sentence_transformers.json").write_text(json.dumps(file))
    return str(folder)


def figures(x):
    return [float(f"{v:.8g}") for v in x.tolist()]


def encoder(folder):
    model = SentenceTransformer(folder, device="cpu", model_kwargs=dict(dtype=torch.float32))
    return [
        dict(
            query=query,
            passage=passage,
            query_vector=figures(model.encode_query(query)),
            passage_vector=figures(model.encode_document(passage)),
            text_vector=figures(model.encode(passage)),
        )
        for query, passage in PAIRS
    ]


def cross_encoder(folder):
    model = CrossEncoder(folder, device="cpu", model_kwargs=dict(dtype=torch.float32))
    logits = model.predict(PAIRS, activation_fn=torch.nn.Identity())
    return [
        dict(query=q, passage=p, logit=z) for (q, p), z in zip(PAIRS, figures(logits), strict=True)
    ]


with tempfile.TemporaryDirectory() as tmp:
    for name, model, run, files in [
        ("encoder.json", "mean-pooled", encoder, FILES),
        (
            "cross-encoder.json",
            "old-names",
            cross_encoder,
            [*(file | CROSS_ENCODER for file in FILES), FILES[2]],
        ),
    ]:
        folders = [copy(model, Path(tmp) / f"{model}{i}", file) for i, file in enumerate(files)]
        write(name, [dict(file=f, cases=run(p)) for f, p in zip(files, folders, strict=True)])
