#!/usr/bin/env python3
"""Checks every kind of source in every shape against ONNX Runtime on the f32 original.

    python ../shared/peers/make_models.py target/models                       # once
    python tests/peers/check_sources.py target/release/lanerank target/models
        [--only tinybert] [--markdown]

Finds the folders under target/models with config.json, tokenizer.json, model.safetensors and
model.onnx. From each it makes shards; pytorch_model.bin (of today, with shared storages, in bf16,
and from before PyTorch 1.6); FlashRank's zip; GGUF files in f32, f16 and Q8_0 with the pooler, and
one without. Converts each to f32, scores the requests of the workload and prints the largest
difference of a logit: at most 1e-4 if the source has the f32 weights. Smaller sources are compared
with the f32 original too, but without a bound: their error is the source's own. The file without
pooler must be refused. Exit code 1 when a bound is missed.
"""

import argparse, json, subprocess, sys, tempfile, zipfile
from pathlib import Path
import numpy as np
import common
from check_logits import reference, score

SIDE = [
    "config.json",
    "vocab.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
]
EXACT = {
    "safetensors",
    "shards",
    "pytorch",
    "pytorch, views",
    "pytorch, before 1.6",
    "zip",
    "gguf f32",
}


def make_gguf(path, folder, w, kind, pooler=True):
    """A GGUF file like llama.cpp's converter, plus the pooler that it omits."""
    import gguf

    config = json.loads((folder / "config.json").read_text())
    vocab = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    pieces = sorted(vocab, key=vocab.get)
    special = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
    phantom = lambda t: t if t in special else t[2:] if t.startswith("##") else "\u2581" + t
    g = gguf.GGUFWriter(path, "bert")
    g.add_context_length(config["max_position_embeddings"])
    g.add_embedding_length(config["hidden_size"])
    g.add_feed_forward_length(config["intermediate_size"])
    g.add_block_count(config["num_hidden_layers"])
    g.add_head_count(config["num_attention_heads"])
    g.add_layer_norm_eps(config["layer_norm_eps"])
    g.add_causal_attention(False)
    g.add_pooling_type(gguf.PoolingType.RANK)
    g.add_tokenizer_model("bert")
    g.add_token_list([phantom(t) for t in pieces])
    g.add_token_types([
        gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL for t in pieces
    ])
    g.add_token_type_count(2)
    g.add_bos_token_id(vocab["[CLS]"])
    g.add_sep_token_id(vocab["[SEP]"])
    g.add_unk_token_id(vocab["[UNK]"])
    g.add_pad_token_id(vocab["[PAD]"])
    g.add_mask_token_id(vocab["[MASK]"])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, config["num_hidden_layers"])
    for key, value in w.items():
        if "pooler" in key and not pooler:
            continue
        key = (
            key
            .replace("classifier", "classifier.out_proj")
            .replace("pooler.dense", "classifier.dense")
            .removeprefix("bert.")
        )
        name, value = names.get_name(key, try_suffixes=(".weight", ".bias")), value.numpy()
        if kind == "f32" or value.ndim == 1 or "embd_norm" in name or "types" in name:
            g.add_tensor(name, value)
        elif kind == "f16":
            g.add_tensor(name, value.astype(np.float16))
        else:
            q = gguf.GGMLQuantizationType.Q8_0
            g.add_tensor(name, gguf.quants.quantize(value, q), raw_dtype=q)
    g.write_header_to_file()
    g.write_kv_data_to_file()
    g.write_tensors_to_file()
    g.close()


def sources(folder, tmp):
    """Yields (kind, source to convert, words of the expected refusal or None)."""
    import torch
    from safetensors.torch import load_file, save_file

    w = load_file(folder / "model.safetensors")

    def beside(name):
        place = tmp / name
        place.mkdir()
        for file in SIDE:
            if (folder / file).exists():
                (place / file).write_bytes((folder / file).read_bytes())
        return place

    yield "safetensors", folder, None
    place, keys = beside("shards"), sorted(w)
    parts = [keys[::2], keys[1::2]]
    names = [f"model-{i:05}-of-00002.safetensors" for i in (1, 2)]
    for name, part in zip(names, parts):
        save_file({k: w[k].contiguous() for k in part}, place / name)
    (place / "model.safetensors.index.json").write_text(
        json.dumps(dict(weight_map={k: name for name, part in zip(names, parts) for k in part}))
    )
    yield "shards", place, None
    storage = torch.cat([v.t().reshape(-1) if v.ndim == 2 else v for v in w.values()])
    views, at = {}, 0
    for k, v in w.items():
        part = storage[at : at + v.numel()]
        views[k], at = part.view(v.shape[::-1]).t() if v.ndim == 2 else part, at + v.numel()
    for kind, state, options in [
        ("pytorch", w, {}),
        ("pytorch, views", views, {}),
        ("pytorch, before 1.6", w, dict(_use_new_zipfile_serialization=False)),
        ("pytorch, bf16", {k: v.bfloat16() for k, v in w.items()}, {}),
    ]:
        place = beside(kind)
        torch.save(state, place / "pytorch_model.bin", **options)
        yield kind, place, None
    path = tmp / "flashrank.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for file in [*SIDE, "model.safetensors"]:
            if (folder / file).exists():
                z.write(folder / file, f"{folder.name}/{file}")
                z.writestr(f"__MACOSX/{folder.name}/._{file}", b"\0\5\x16\7")
    yield "zip", path, None
    for kind in ("f32", "f16", "q8_0"):
        path = tmp / f"{kind}.gguf"
        make_gguf(path, folder, w, kind)
        yield f"gguf {kind}", path, None
    path = tmp / "no-pooler.gguf"
    make_gguf(path, folder, w, "f16", pooler=False)
    yield "gguf without pooler", path, "without its pooler"


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("binary")
    ap.add_argument("models", type=Path)
    ap.add_argument("--workload", type=Path, default=Path("../shared/peers/workload.json"))
    ap.add_argument("--only", help="only folders whose path contains this")
    ap.add_argument("--requests", nargs="+", default=["seed", "single", "rerank100"])
    ap.add_argument("--markdown", action="store_true", help="the README's table")
    a = ap.parse_args()
    workload = json.loads(a.workload.read_text("utf-8"))
    folders = sorted(
        f.parent for f in a.models.glob("*/model.onnx") if (f.parent / "model.safetensors").exists()
    )
    folders = [f for f in folders if (a.only or "") in str(f)]
    if not folders:
        sys.exit(f"{a.models}: no folder with model.onnx and model.safetensors")
    table, failed = {}, False
    for folder in folders:
        ort = reference(folder, workload)
        with tempfile.TemporaryDirectory() as tmp:
            tmp = Path(tmp)
            for kind, source, refusal in sources(folder, tmp):
                lane = tmp / "m.lane"
                done = subprocess.run(
                    [a.binary, "convert", source, "-o", lane, "--force", "--dtype", "f32"],
                    capture_output=True,
                    encoding="utf-8",
                )
                if refusal:
                    bad = done.returncode != 2 or refusal not in done.stderr
                    cell = "converted" if done.returncode == 0 else "refused"
                elif done.returncode:
                    bad, cell = True, done.stderr.strip()
                else:
                    off = max(
                        float(np.abs(score(a.binary, lane, workload[r]) - ort[r]).max())
                        for r in a.requests
                    )
                    bad, cell = kind in EXACT and not off <= 1e-4, f"{off:.1e}"
                failed |= bad
                table.setdefault(kind, {})[folder.name] = cell
                if not a.markdown:
                    print(
                        f"{folder.name:<10} {kind:<20} {cell}{'  MISSED' if bad else ''}",
                        flush=True,
                    )
    if a.markdown:
        print(
            "| source | "
            + " | ".join(f.name for f in folders)
            + " |\n|---|"
            + "---|" * len(folders)
        )
        for kind, cells in table.items():
            print(f"| {kind} | " + " | ".join(cells.values()) + " |")
    sys.exit(failed)


if __name__ == "__main__":
    main()
