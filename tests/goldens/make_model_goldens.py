#!/usr/bin/env python3
"""Writes tests/data/model/: tiny random models in Hugging Face's layout, and their results.

    pip install -r tests/peers/requirements.txt && python tests/goldens/make_model_goldens.py

    old-names    classifier, 1 label, 2 heads of 32, 2 layers, erf GELU, f32, LayerNorm.gamma/beta,
                 `bert.` prefix
    two-labels   classifier, 2 labels, 3 heads of 16, 3 layers, tanh GELU, f16
    odd-heads    classifier, 1 label, 2 heads of 26, 1 layer, ReLU, f16; widths that are no multiple
                 of a vector
    mean-pooled  encoder, mean over tokens, unit length, max_length 48, unused pooler, f16;
                 no prefix
    cls-pooled   encoder, first token, not normalised, 2 heads of 12, bf16; no prefix

Each folder has config.json, model.safetensors, vocab.txt and tokenizer_config.json; encoders also
have modules.json, 1_Pooling/config.json and sentence_bert_config.json. expected.json is
{"max_length", "cases": [{"query", "passage", "ids", "query_tokens", "logits"}]} or {"max_length",
"cases": [{"text", "ids", "embedding"}]}. `ids` are truncated (longest first); the first
`query_tokens` of them have type 0. Results are by transformers in f32, eval mode, from the stored
weights; f64 agrees within 2e-5. A few channels are much larger than the rest, as in trained models,
to make quantisation hard. The weights are the same on every run and machine.
"""

import json, string
from pathlib import Path
import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertForSequenceClassification, BertModel

OUT = Path(__file__).parents[1] / "data/model"
POSITIONS = 64
WORDS = """the of and to in is a for on with as by that what how why cat dog river bank money loan
water flood search engine score rank query passage model kernel memory safe rust compile ##s ##ed
##ing ##er ##ly ##tion un re ##able""".split()
VOCAB = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *string.ascii_lowercase,
    *(f"##{c}" for c in string.ascii_lowercase),
    *".,?!-'",
    *(w for w in WORDS if len(w) > 1),
]

LONG = "the river bank flooded and the water ran on, the dog ran with it. "
PAIRS = [
    ("what is a river bank", "The bank of a river is the land by the water."),
    ("what is a river bank", "A bank lends money: loans, scores and ranking."),
    (
        "how does the search engine rank a passage",
        "The model scores the query with the passage, and the engine ranks by score.",
    ),
    ("rust", "Rust is memory safe."),
    ("rust", ""),
    ("", "An empty query."),
    ("", ""),
    ("why", "b"),
    ("what is a flood", LONG * 6),  # the passage is cut
    (LONG * 6, "the dog ran"),  # the query is cut
    (LONG * 4, LONG * 5),  # both are
    ("naïve café, 2024?", "Unknown: 日本語 \U0001f600, na\u0308ive; RERANKED unsearchable-ly!"),
    ("is it safe", "safe"),
    ("how to compile the kernel", "compiling kernels in rust, with memory " * 3),
]
TEXTS = list(dict.fromkeys(p for _, p in PAIRS)) + [LONG * 3 + "why"]

# hidden, heads, layers, inner, activation, labels (0: encoder), dtype, pooler
VARIANTS = {
    "old-names": (64, 2, 2, 128, "gelu", 1, torch.float32, True),
    "two-labels": (48, 3, 3, 40, "gelu_new", 2, torch.float16, True),
    "odd-heads": (52, 2, 1, 42, "relu", 1, torch.float16, True),
    "mean-pooled": (32, 2, 1, 48, "gelu", 0, torch.float16, True),
    "cls-pooled": (24, 2, 2, 40, "gelu", 0, torch.bfloat16, False),
}


def make_weights(seed, hidden, layers, inner, labels, pooler):
    """Random weights under Hugging Face's names without the `bert.` prefix."""
    r = np.random.Generator(np.random.PCG64(seed))
    w = {}
    outliers = r.choice(hidden, 2, replace=False)

    def mat(key, shape, std):
        w[key] = r.standard_normal(shape, dtype=np.float32) * np.float32(std)

    def linear(key, n, k, std):
        mat(f"{key}.weight", (n, k), std / k**0.5)
        mat(f"{key}.bias", (n,), 0.05)

    def norm(key):
        g = (0.9 + 0.12 * r.standard_normal(hidden)).astype(np.float32)
        b = (0.08 * r.standard_normal(hidden)).astype(np.float32)
        g[outliers] *= 2.5
        b[outliers] += np.sign(b[outliers]) * 0.8
        w[f"{key}.weight"], w[f"{key}.bias"] = g, b

    mat("embeddings.word_embeddings.weight", (len(VOCAB), hidden), 0.05)
    mat("embeddings.position_embeddings.weight", (POSITIONS, hidden), 0.02)
    mat("embeddings.token_type_embeddings.weight", (2, hidden), 0.02)
    norm("embeddings.LayerNorm")
    for i in range(layers):
        p = f"encoder.layer.{i}."
        for part in ("query", "key", "value"):
            linear(f"{p}attention.self.{part}", hidden, hidden, 1.0 if part == "value" else 1.3)
        linear(f"{p}attention.output.dense", hidden, hidden, 1.0)
        norm(f"{p}attention.output.LayerNorm")
        linear(f"{p}intermediate.dense", inner, hidden, 1.0)
        linear(f"{p}output.dense", hidden, inner, 1.2)
        norm(f"{p}output.LayerNorm")
    if pooler:
        linear("pooler.dense", hidden, hidden, 0.6)
    if labels:
        linear("classifier", labels, hidden, 1.0)
    return {key: torch.from_numpy(value) for key, value in w.items()}


def prefixed(w):
    return {
        key if key.startswith("classifier") else f"bert.{key}": value for key, value in w.items()
    }


def tensors(batch):
    return dict(
        input_ids=torch.tensor([batch.ids]),
        attention_mask=torch.tensor([batch.attention_mask]),
        token_type_ids=torch.tensor([batch.type_ids]),
    )


def figures(x):
    return [float(f"{v:.8g}") for v in x.tolist()]


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def write_model(seed, name):
    hidden, heads, layers, inner, activation, labels, dtype, pooler = VARIANTS[name]
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    max_length = 48 if name == "mean-pooled" else POSITIONS
    config = dict(
        architectures=["BertForSequenceClassification" if labels else "BertModel"],
        model_type="bert",
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        hidden_act=activation,
        max_position_embeddings=POSITIONS,
        type_vocab_size=2,
        vocab_size=len(VOCAB),
        layer_norm_eps=1e-12,
        pad_token_id=0,
        position_embedding_type="absolute",
    )
    if labels:
        config["id2label"] = {str(i): f"LABEL_{i}" for i in range(labels)}
        config["label2id"] = {f"LABEL_{i}": i for i in range(labels)}
    write_json(folder / "config.json", config)
    write_json(
        folder / "tokenizer_config.json",
        dict(
            do_lower_case=True,
            tokenize_chinese_chars=True,
            strip_accents=None,
            tokenizer_class="BertTokenizer",
            model_max_length=POSITIONS,
            unk_token="[UNK]",
            sep_token="[SEP]",
            pad_token="[PAD]",
            cls_token="[CLS]",
            mask_token="[MASK]",
        ),
    )
    (folder / "vocab.txt").write_text("\n".join(VOCAB) + "\n")
    if not labels:
        module = lambda i, path, kind: dict(
            idx=i, name=str(i), path=path, type=f"sentence_transformers.models.{kind}"
        )
        mean = name == "mean-pooled"
        write_json(
            folder / "modules.json",
            [module(0, "", "Transformer"), module(1, "1_Pooling", "Pooling")]
            + ([module(2, "2_Normalize", "Normalize")] if mean else []),
        )
        write_json(
            folder / "1_Pooling/config.json",
            dict(
                word_embedding_dimension=hidden,
                pooling_mode_cls_token=not mean,
                pooling_mode_mean_tokens=mean,
                pooling_mode_max_tokens=False,
                pooling_mode_mean_sqrt_len_tokens=False,
            ),
        )
        write_json(
            folder / "sentence_bert_config.json",
            dict(max_seq_length=max_length, do_lower_case=False),
        )

    tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    encoded = (
        [tokenizer.encode(*pair) for pair in PAIRS]
        if labels
        else [tokenizer.encode(text) for text in TEXTS]
    )

    def model(w):
        kind = BertForSequenceClassification if labels else BertModel
        options = {} if labels else dict(add_pooling_layer=pooler)
        m = kind(BertConfig.from_pretrained(folder, attn_implementation="eager"), **options)
        m.load_state_dict(prefixed(w) if labels else w, strict=True)
        return m.eval()

    def pool(tokens):
        if name == "cls-pooled":
            return tokens[0]
        return torch.nn.functional.normalize(tokens.mean(0), dim=0)

    w = make_weights(seed, hidden, layers, inner, labels, pooler)
    if labels:  # logits spread about as a trained ranker's do: mean -1, deviation 3
        pooled = torch.stack([model(w).bert(**tensors(e)).pooler_output[0] for e in encoded])
        z = pooled @ w["classifier.weight"].T
        scale = 3 / z.std(0)
        w["classifier.weight"] *= scale[:, None]
        w["classifier.bias"] = -1 - z.mean(0) * scale
    stored = {key: value.to(dtype).contiguous() for key, value in w.items()}
    m = model({key: value.float() for key, value in stored.items()})
    forward = (
        (lambda m, e: m(**tensors(e)).logits[0])
        if labels
        else (lambda m, e: pool(m(**tensors(e)).last_hidden_state[0]))
    )
    results = [forward(m, e) for e in encoded]
    exact = [forward(m.double(), e) for e in encoded]
    off = max(float((a - b).abs().max()) for a, b in zip(results, exact))
    assert off < 2e-5, off

    if labels:
        stored = prefixed(stored)
    if name == "old-names":
        stored = {
            key.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                "LayerNorm.bias", "LayerNorm.beta"
            ): value
            for key, value in stored.items()
        }
        stored["bert.embeddings.position_ids"] = torch.arange(POSITIONS)[None]
    if name == "mean-pooled":
        stored["embeddings.position_ids"] = torch.arange(POSITIONS)[None]
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    if labels:
        cases = [
            dict(query=q, passage=p, ids=e.ids, query_tokens=e.type_ids.count(0), logits=figures(z))
            for (q, p), e, z in zip(PAIRS, encoded, results)
        ]
    else:
        cases = [
            dict(text=t, ids=e.ids, embedding=figures(z))
            for t, e, z in zip(TEXTS, encoded, results)
        ]
    lines = ",\n".join(" " + json.dumps(case) for case in cases)
    (folder / "expected.json").write_text(
        f'{{"max_length": {max_length}, "cases": [\n{lines}\n]}}\n'
    )
    spread = torch.stack(results)
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    print(
        f"{name}: {size} bytes, f32 to f64 {off:.1e}, "
        f"figures {float(spread.min()):.3f} to {float(spread.max()):.3f}"
    )


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    for seed, name in enumerate(VARIANTS, 1):
        write_model(seed, name)
    print(sum(f.stat().st_size for f in OUT.rglob("*") if f.is_file()), "bytes in all")
