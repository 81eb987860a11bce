#!/usr/bin/env python3
"""Writes tests/data/sources/: one tiny model in every layout that `lanerank convert` reads.

    pip install -r tests/peers/requirements.txt && python tests/goldens/make_source_goldens.py

Every weight is a power of two times an 8-bit integer, and every 32 weights of a matrix row include
+-127. So f32, f16, bf16 and Q8_0 hold the same numbers, every layout must convert to the same model
file, byte for byte, and one expected.json, by transformers, is valid for all.

    model/         a Hugging Face folder, model.safetensors in f32, with vocab.txt, tokenizer.json,
                   special_tokens_map.json, and expected.json
    sharded/       model-0000x-of-00002.safetensors with index, f16
    zip-bf16.bin   torch.save of a state_dict with _metadata, bf16
    strided.bin    the same in f16: Parameters that are views of one storage, matrices transposed
    legacy.bin     saved like PyTorch before 1.6, f16
    q8_0.gguf      with pooler, matrices in Q8_0
    f16.gguf       with pooler, matrices in f16; pieces spelled like early releases of llama.cpp's
                   converter
    encoder.gguf   without pooler and classifier, mean pooling
    no-pooler.gguf with classifier, without pooler, like llama.cpp's converter: to be refused

The state_dict has transformers' names. The files are the same on every run.
"""

import json, string
from pathlib import Path
import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertForSequenceClassification, BertModel

OUT = Path(__file__).parents[1] / "data/sources"
HIDDEN, HEADS, LAYERS, INNER, POSITIONS = 32, 2, 1, 32, 32
WORDS = """the of and to in is a river bank money water search query passage model how what why cat
dog ##ed ##ing""".split()
VOCAB = [
    "[PAD]",
    "[unused0]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *string.ascii_lowercase,
    *(f"##{c}" for c in string.ascii_lowercase),
    *".,?![]",
    *(w for w in WORDS if len(w) > 1),
]
PAIRS = [
    ("what is a river bank", "The bank of a river is the land by the water."),
    ("what is a river bank", "A bank lends money: loans, scores and ranking."),
    ("how does the search model rank", "The model scores the query [MASK] with the passage."),
    ("", ""),
    ("why", "b"),
    ("dogs", "the dogs waded in the water " * 9),
]


def quantized(r, rows, width, exponent):
    """2**exponent times integers; every 32 in a row have a largest magnitude of 127."""
    q = np.clip(np.round(r.standard_normal((rows, width)) * 50), -127, 127)
    q[:, ::32] = np.where(q[:, ::32] < 0, -127, 127)
    q += 0.0  # integers have no -0
    return torch.from_numpy(q.astype(np.float32) * np.float32(2.0**exponent))


def make_weights():
    r = np.random.Generator(np.random.PCG64(77))
    vector = lambda n, mean, exponent: torch.from_numpy(
        (mean + np.clip(np.round(r.standard_normal(n) * 20), -60, 60) * 2.0**exponent).astype(
            np.float32
        )
    )
    w = {}

    def linear(name, n, k, exponent=-8):
        w[f"{name}.weight"] = quantized(r, n, k, exponent)
        w[f"{name}.bias"] = vector(n, 0, -9)

    def norm(name):
        w[f"{name}.weight"], w[f"{name}.bias"] = vector(HIDDEN, 1, -7), vector(HIDDEN, 0, -8)

    for name, rows in (("word", len(VOCAB)), ("position", POSITIONS), ("token_type", 2)):
        w[f"bert.embeddings.{name}_embeddings.weight"] = quantized(r, rows, HIDDEN, -9)
    norm("bert.embeddings.LayerNorm")
    for i in range(LAYERS):
        p = f"bert.encoder.layer.{i}."
        for part in ("query", "key", "value"):
            linear(f"{p}attention.self.{part}", HIDDEN, HIDDEN)
        linear(f"{p}attention.output.dense", HIDDEN, HIDDEN)
        norm(f"{p}attention.output.LayerNorm")
        linear(f"{p}intermediate.dense", INNER, HIDDEN)
        linear(f"{p}output.dense", HIDDEN, INNER)
        norm(f"{p}output.LayerNorm")
    linear("bert.pooler.dense", HIDDEN, HIDDEN)
    linear("classifier", 1, HIDDEN, -6)
    for value in w.values():
        assert torch.equal(value.half().float(), value) and torch.equal(
            value.bfloat16().float(), value
        )
    return w


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def write_model(w):
    folder = OUT / "model"
    write_json(
        folder / "config.json",
        dict(
            architectures=["BertForSequenceClassification"],
            model_type="bert",
            hidden_size=HIDDEN,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            intermediate_size=INNER,
            hidden_act="gelu",
            max_position_embeddings=POSITIONS,
            type_vocab_size=2,
            vocab_size=len(VOCAB),
            layer_norm_eps=2.0**-30,
            pad_token_id=0,
            id2label={"0": "LABEL_0"},
        ),
    )
    special = dict(
        unk_token="[UNK]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        mask_token="[MASK]",
    )
    write_json(
        folder / "tokenizer_config.json",
        dict(
            do_lower_case=True,
            tokenizer_class="BertTokenizer",
            model_max_length=POSITIONS,
            **special,
        ),
    )
    write_json(folder / "special_tokens_map.json", special)
    (folder / "vocab.txt").write_text("\n".join(VOCAB) + "\n")
    tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    tokenizer.enable_truncation(POSITIONS, strategy="longest_first")
    save_file(
        {key: value.contiguous() for key, value in w.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    config = BertConfig.from_pretrained(folder, attn_implementation="eager")
    model = BertForSequenceClassification(config)
    model.load_state_dict(w, strict=True)
    encoder = BertModel(config, add_pooling_layer=False)
    encoder.load_state_dict(
        {k[5:]: v for k, v in w.items() if k.startswith("bert.") and "pooler" not in k}, strict=True
    )
    model, encoder, cases = model.eval(), encoder.eval(), []
    for q, p in PAIRS:
        e = tokenizer.encode(q, p)
        z = model(torch.tensor([e.ids]), token_type_ids=torch.tensor([e.type_ids])).logits[0]
        cases.append(dict(query=q, passage=p, ids=e.ids, logits=[float(f"{v:.8g}") for v in z]))
    texts = []
    for text in [p for _, p in PAIRS]:
        e = tokenizer.encode(text)
        tokens = encoder(
            torch.tensor([e.ids]), token_type_ids=torch.tensor([e.type_ids])
        ).last_hidden_state[0]
        vector = torch.nn.functional.normalize(tokens.mean(0), dim=0)
        texts.append(dict(text=text, ids=e.ids, embedding=[float(f"{v:.6g}") for v in vector]))
    rows = lambda cases: ",\n".join(" " + json.dumps(case) for case in cases)
    (folder / "expected.json").write_text(
        f'{{"max_length": {POSITIONS}, "cases": [\n{rows(cases)}\n], '
        f'"texts": [\n{rows(texts)}\n]}}\n'
    )


def write_shards(w):
    names, folder = sorted(w), OUT / "sharded"
    folder.mkdir(parents=True, exist_ok=True)
    halves = [names[: len(names) // 2], names[len(names) // 2 :]]
    files = [f"model-{i:05}-of-00002.safetensors" for i in (1, 2)]
    for file, half in zip(files, halves):
        save_file(
            {key: w[key].half().contiguous() for key in half},
            folder / file,
            metadata={"format": "pt"},
        )
    write_json(
        folder / "model.safetensors.index.json",
        dict(
            metadata=dict(total_size=sum(v.numel() * 2 for v in w.values())),
            weight_map={key: file for file, half in zip(files, halves) for key in half},
        ),
    )


def write_torch(w):
    state = BertForSequenceClassification(BertConfig.from_pretrained(OUT / "model")).state_dict()
    assert sorted(state) == sorted(w) and hasattr(state, "_metadata")
    for key in state:
        state[key] = w[key].bfloat16()
    torch.save(state, OUT / "zip-bf16.bin")
    for key in state:
        state[key] = w[key].half()
    torch.save(state, OUT / "legacy.bin", _use_new_zipfile_serialization=False)
    storage = torch.cat([torch.zeros(5), *(v.t().reshape(-1) for v in w.values())]).half()
    at, views = 5, {}
    for key, value in w.items():
        part = storage[at : at + value.numel()]
        view = part if value.ndim == 1 else part.view(value.shape[::-1]).t()
        assert torch.equal(view.float(), value)
        views[key], at = torch.nn.Parameter(view), at + value.numel()
    torch.save(views, OUT / "strided.bin")


def write_gguf(w, name, kind, early=False, pooler=True, classifier=True, labels=None):
    g = gguf.GGUFWriter(OUT / name, "bert")
    g.add_name("tiny")
    g.add_context_length(POSITIONS)
    g.add_embedding_length(HIDDEN)
    g.add_feed_forward_length(INNER)
    g.add_block_count(LAYERS)
    g.add_head_count(HEADS)
    g.add_layer_norm_eps(2.0**-30)
    g.add_causal_attention(False)
    if labels:
        g.add_classifier_output_labels(labels)
    g.add_pooling_type(gguf.PoolingType.RANK if classifier else gguf.PoolingType.MEAN)
    special = [t in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") for t in VOCAB]

    def phantom(token, special):
        if special or early and token.startswith("[") and token.endswith("]"):
            return token
        return token[2:] if token.startswith("##") else "\u2581" + token

    g.add_tokenizer_model("bert")
    g.add_token_list([phantom(*x) for x in zip(VOCAB, special)])
    g.add_token_types([gguf.TokenType.CONTROL if s else gguf.TokenType.NORMAL for s in special])
    g.add_token_type_count(2)
    g.add_bos_token_id(VOCAB.index("[CLS]"))
    g.add_sep_token_id(VOCAB.index("[SEP]"))
    g.add_unk_token_id(VOCAB.index("[UNK]"))
    g.add_pad_token_id(VOCAB.index("[PAD]"))
    g.add_mask_token_id(VOCAB.index("[MASK]"))
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, LAYERS)
    for key, value in w.items():
        if key.startswith("bert.pooler"):
            if not (pooler and classifier):
                continue
            key = key.replace("bert.pooler.dense", "classifier.dense")
        elif key.startswith("classifier"):
            if not classifier:
                continue
            key = key.replace("classifier", "classifier.out_proj")
        theirs = names.get_name(key.removeprefix("bert."), try_suffixes=(".weight", ".bias"))
        value = value.numpy()
        if value.ndim == 1 or "embd_norm" in theirs or "types" in theirs:
            g.add_tensor(theirs, value)
        elif kind == "f16":
            g.add_tensor(theirs, value.astype(np.float16))
        else:
            blocks = gguf.quants.quantize(value, gguf.GGMLQuantizationType.Q8_0)
            assert np.array_equal(
                gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType.Q8_0), value
            )
            g.add_tensor(theirs, blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    g.write_header_to_file()
    g.write_kv_data_to_file()
    g.write_tensors_to_file()
    g.close()


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    w = make_weights()
    write_model(w)
    write_shards(w)
    write_torch(w)
    write_gguf(w, "q8_0.gguf", "q8_0")
    write_gguf(w, "f16.gguf", "f16", early=True)
    write_gguf(w, "encoder.gguf", "q8_0", classifier=False)
    write_gguf(w, "no-pooler.gguf", "q8_0", pooler=False)
    for f in sorted(OUT.rglob("*")):
        if f.is_file():
            print(f.relative_to(OUT), f.stat().st_size)
