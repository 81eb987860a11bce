#!/usr/bin/env python3
"""Writes tests/data/onnx/no-types/: the classifier of tests/data/onnx/one-label without the input
token_type_ids, and ONNX Runtime's logits.

    pip install -r tests/peers/requirements.txt && python tests/goldens/make_onnx_types_goldens.py

    eager      torch.onnx.export up to 2.8 (TorchScript)
    dynamo     torch.onnx.export(dynamo=True)
    exporter   transformers' OnnxExporter with inputs that lack token_type_ids

Made with transformers 5.24.0, torch 2.15.0 and onnxruntime 1.32.0. The logits of transformers
without token types are within 1e-5.
"""

import json, shutil, warnings
import onnx_ir
import torch
from transformers.exporters.configs import OnnxConfig
from transformers.exporters.exporter_onnx import OnnxExporter
from make_model_goldens import make_weights
from make_onnx_goldens import (
    HIDDEN, INNER, LAYERS, OUT, POSITIONS, TEXTS, expected, feeds, sample, strip, torch_model,
)
from tokenizers import BertWordPieceTokenizer

NAMES = ["input_ids", "attention_mask"]


class Logits(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


def main():
    source, folder = OUT / "one-label", OUT / "no-types"
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("config.json", "vocab.txt", "tokenizer_config.json"):
        shutil.copy(source / file, folder)
    weights = make_weights(1, HIDDEN, LAYERS, INNER, 1, True)
    model = torch_model(folder, weights, 1, "sdpa").eval()
    logits = Logits(model).eval()
    inputs = sample()[:2]
    axes = {name: {0: "batch", 1: "length"} for name in NAMES}
    names = dict(input_names=NAMES, output_names=["logits"])
    eager = Logits(torch_model(folder, weights, 1, "eager")).eval()
    path = folder / "eager.onnx"
    torch.onnx.export(
        eager, inputs, path, **names, dynamo=False, opset_version=14, dynamic_axes=axes
    )
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length", max=POSITIONS)
    torch.onnx.export(
        logits,
        inputs,
        folder / "dynamo.onnx",
        **names,
        dynamo=True,
        external_data=False,
        dynamic_shapes={name: {0: batch, 1: length} for name in NAMES},
        verbose=False,
    )
    exported = OnnxExporter().export(
        model, dict(zip(NAMES, inputs)), config=OnnxConfig(dynamic=True)
    )
    onnx_ir.save(exported.program, folder / "exporter.onnx")

    tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
    tokenizer.enable_truncation(POSITIONS, strategy="longest_first")
    rows = list(feeds(tokenizer, 1))
    results = {}
    for path in sorted(folder.glob("*.onnx")):
        strip(path)
        results[path.stem] = expected(path, rows, 1)
        print(path.name, path.stat().st_size, results[path.stem])
    for i, row in enumerate(rows):
        theirs = logits(*(torch.from_numpy(row[name]) for name in NAMES)).item()
        with_types = model(**{k: torch.from_numpy(v) for k, v in row.items()}).logits.item()
        for name, values in results.items():
            assert abs(values[i][0] - theirs) < 1e-5, (name, values[i], theirs)
        print(theirs, "with token types", with_types)
    lines = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in results.items())
    text = f'{{"texts": {json.dumps(TEXTS)},\n "files": {{\n{lines}\n}}}}\n'
    (folder / "expected.json").write_text(text)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with torch.no_grad():
        main()
