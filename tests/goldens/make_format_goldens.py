#!/usr/bin/env python3
"""Adds model files of the current release to tests/data/format, with the scores that it gives them.

    python tests/goldens/make_format_goldens.py target/release/lanerank 0.1

Run it once for a release that writes other files than the last one did. tests/old_files.rs opens
all of them for ever, so a file that exists is never replaced. The texts are those of the models'
goldens by transformers; the scores are lanerank's own, because a later reader must repeat them.
"""

import json, subprocess, sys, tempfile
from pathlib import Path

DATA = Path(__file__).parents[1] / "data"
OUT = DATA / "format"
PROMPTS = {"prompts": {"query": "query: ", "document": "passage - "}}
# Name, model, dtype, prompts. Each architecture, each dtype, both tokenizers.
MODELS = [
    ("bert-int8", "odd-heads", "int8", None),
    ("bert-encoder-f32", "mean-pooled", "f32", PROMPTS),
    ("electra-f16", "electra-base", "f16", None),
    ("xlm-roberta-encoder-int8", "xlm-roberta-encoder", "int8", None),
]

binary, version = Path(sys.argv[1]).resolve(), sys.argv[2]
OUT.mkdir(exist_ok=True)
for name, model, dtype, prompts in MODELS:
    file = OUT / f"{version}-{name}.lane"
    source = DATA / "model" / model
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder) / model
        subprocess.run(["cp", "-r", source, folder], check=True)
        if prompts:
            (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
        # Without --force: it fails if the file exists.
        command = [binary, "convert", folder, "-o", file, "--dtype", dtype]
        subprocess.run(command, check=True)
    cases = json.loads((source / "expected.json").read_text())["cases"]
    texts = [case.get("passage") or case.get("text") for case in cases]
    passages = list(dict.fromkeys(filter(None, texts)))[:8]
    query = "what is a river bank"
    done = subprocess.run(
        [binary, "rerank", "--json", "--model", file, "-"],
        input=json.dumps({"query": query, "passages": passages}),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    scores = [hit["score"] for hit in sorted(json.loads(done.stdout), key=lambda h: h["index"])]
    golden = {"query": query, "exact": dtype == "int8", "passages": passages, "scores": scores}
    file.with_suffix(".json").write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")
