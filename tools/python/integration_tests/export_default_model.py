#!/usr/bin/env python3
"""Exports the default model in FlashRank's layout, for `check_default_model.py`.

    pip install -r tests/peers/requirements.txt
    python tools/python/integration_tests/export_default_model.py FOLDER

`tests/peers/read_lane.py` reads the weights of src/assets/default.lane. transformers'
BertForSequenceClassification gets these weights, torch exports it as FOLDER/model.onnx, and
onnxruntime quantises that like FlashRank's own files (model_quantized.onnx). The tokenizer's files
hold the vocabulary and the rules of the .lane file.
"""

import json
import sys
import warnings
from pathlib import Path

import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers import BertConfig, BertForSequenceClassification

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/peers"))
from read_lane import Model  # noqa: E402

ACTIVATIONS = ["gelu", "gelu_pytorch_tanh", "relu"]
SPECIAL = ["unk_token", "cls_token", "sep_token", "pad_token", "mask_token"]
INPUTS = ["input_ids", "attention_mask", "token_type_ids"]


def config(lane):
    c = lane.c
    names = (
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "vocab_size",
        "max_position_embeddings",
        "type_vocab_size",
        "num_labels",
    )
    return BertConfig(
        **{name: c[name] for name in names},
        hidden_act=ACTIVATIONS[c["hidden_act"]],
        layer_norm_eps=c["eps"],
        pad_token_id=lane.ids[3],
        architectures=["BertForSequenceClassification"],
    )


def state(lane):
    """The weights under Hugging Face's names."""
    out = {}

    def put(name, weight, bias=None):
        out[f"{name}.weight"] = torch.tensor(weight)
        if bias is not None:
            out[f"{name}.bias"] = torch.tensor(bias, dtype=torch.float32)

    for ours, theirs in [
        ("word", "word_embeddings"),
        ("position", "position_embeddings"),
        ("token_type", "token_type_embeddings"),
        ("layer_norm", "LayerNorm"),
    ]:
        put(f"bert.embeddings.{theirs}", *lane.W[f"embeddings.{ours}"])
    for i in range(lane.c["num_hidden_layers"]):
        ours, theirs = f"layers.{i}", f"bert.encoder.layer.{i}"
        weight, bias = lane.W[f"{ours}.attention.qkv"]
        for k, part in enumerate(["query", "key", "value"]):
            rows = slice(k * len(weight) // 3, (k + 1) * len(weight) // 3)
            put(f"{theirs}.attention.self.{part}", weight[rows], bias[rows])
        put(f"{theirs}.attention.output.dense", *lane.W[f"{ours}.attention.output"])
        put(f"{theirs}.attention.output.LayerNorm", *lane.W[f"{ours}.attention.layer_norm"])
        put(f"{theirs}.intermediate.dense", *lane.W[f"{ours}.ffn.intermediate"])
        put(f"{theirs}.output.dense", *lane.W[f"{ours}.ffn.output"])
        put(f"{theirs}.output.LayerNorm", *lane.W[f"{ours}.ffn.layer_norm"])
    put("bert.pooler.dense", *lane.W["pooler"])
    put("classifier", *lane.W["classifier"])
    return out


def save_tokenizer(lane, folder):
    tokenizer = lane.tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "vocab.txt").write_bytes(b"".join(piece + b"\n" for piece in lane.pieces))
    special = {name: tokenizer.id_to_token(i) for name, i in zip(SPECIAL, lane.ids)}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    rules = dict(
        zip(["do_lower_case", "strip_accents"], (bool(lane.flags & bit) for bit in (1, 2)))
    )
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "BertTokenizer",
                "model_max_length": lane.c["max_length"],
                **rules,
                **special,
            }
        )
    )


def export(model, path):
    ids = torch.arange(24).reshape(2, 12) % 9
    sample = ids, torch.ones_like(ids), (ids > 4).long()
    axes = {name: {0: "batch", 1: "length"} for name in INPUTS}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            sample,
            str(path),
            input_names=INPUTS,
            output_names=["logits"],
            dynamo=False,
            opset_version=14,
            dynamic_axes=axes | {"logits": {0: "batch"}},
        )


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    lane = Model((ROOT / "src/assets/default.lane").read_bytes())
    model = BertForSequenceClassification(config(lane)).eval()
    missing, unexpected = model.load_state_dict(state(lane), strict=False)
    if unexpected or set(missing) - {"bert.embeddings.position_ids"}:
        sys.exit(f"weights: missing {missing}, unexpected {unexpected}")
    model.config.save_pretrained(folder)
    save_tokenizer(lane, folder)
    export(model, folder / "model.onnx")
    quantize_dynamic(
        folder / "model.onnx",
        folder / "model_quantized.onnx",
        weight_type=QuantType.QInt8,
        per_channel=True,
    )


if __name__ == "__main__":
    main()
