#!/usr/bin/env python3
"""Writes tests/data/model/electra-*/: tiny random ELECTRA cross-encoders and their logits.

    pip install -r tests/peers/requirements.txt && python tests/goldens/make_electra_goldens.py

    electra-small  1 label, embeddings of 20 projected to 48, 3 heads of 16, 2 layers, f16,
                   model.safetensors
    electra-base   2 labels, embeddings as wide as the layers (32), 2 heads of 16, 1 layer, f32,
                   pytorch_model.bin

Files and results have the form of make_model_goldens.py: by transformers in f32, eval mode, from
the stored weights. The weights are the same on every run and machine.
"""

import json
import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import BertWordPieceTokenizer
from transformers import ElectraConfig, ElectraForSequenceClassification
from make_model_goldens import OUT, PAIRS, POSITIONS, VOCAB, figures, tensors, write_json

# seed, embedding, hidden, heads, layers, inner, labels, dtype
VARIANTS = {
    "electra-small": (11, 20, 48, 3, 2, 64, 1, torch.float16),
    "electra-base": (12, 32, 32, 2, 1, 48, 2, torch.float32),
}


def randomise(model, seed):
    """Random weights with a few large channels, as trained models have them."""
    r = np.random.Generator(np.random.PCG64(seed))
    normal = lambda shape, std: torch.from_numpy(
        r.standard_normal(shape, dtype=np.float32) * np.float32(std)
    )
    state = {}
    for name, value in model.state_dict().items():
        if name.endswith("LayerNorm.weight"):
            state[name] = 0.9 + normal(value.shape, 0.12)
            state[name][value.shape[0] // 3] *= 2.5
        elif name.endswith("bias"):
            state[name] = normal(value.shape, 0.08)
        elif "embeddings." in name and value.dtype.is_floating_point:
            state[name] = normal(value.shape, 0.05)
        elif value.dtype.is_floating_point:
            state[name] = normal(value.shape, 1.2 / value.shape[1] ** 0.5)
        else:
            state[name] = value
    return state


def calibrate(state, z):
    """Spreads logits `z` as a trained ranker's: mean -1, deviation 3."""
    scale = 3 / z.std(0)
    state["classifier.out_proj.weight"] *= scale[:, None]
    state["classifier.out_proj.bias"] = (
        state["classifier.out_proj.bias"] * scale - 1 - z.mean(0) * scale
    )


def store(folder, model, state, dtype, forward, encoded):
    """Stores the weights, f32 as a PyTorch file. Returns the results, by the stored weights."""
    stored = {
        key: value.to(dtype).contiguous() if value.dtype.is_floating_point else value
        for key, value in state.items()
    }
    model.load_state_dict({
        key: value.float() if value.dtype.is_floating_point else value
        for key, value in stored.items()
    })
    results = [forward(model, e) for e in encoded]
    exact = [forward(model.double(), e) for e in encoded]
    off = max(float((a - b).abs().max()) for a, b in zip(results, exact))
    assert off < 2e-5, off
    if dtype == torch.float32:
        torch.save(stored, folder / "pytorch_model.bin")
    else:
        save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    spread = torch.stack(results)
    print(
        f"{folder.name}: {len(stored)} tensors, f32 to f64 {off:.1e}, "
        f"figures {float(spread.min()):.3f} to {float(spread.max()):.3f}"
    )
    return results


def write_cases(folder, max_length, cases):
    lines = ",\n".join(" " + json.dumps(case) for case in cases)
    (folder / "expected.json").write_text(
        f'{{"max_length": {max_length}, "cases": [\n{lines}\n]}}\n'
    )


def write_model(name):
    seed, embedding, hidden, heads, layers, inner, labels, dtype = VARIANTS[name]
    folder = OUT / name
    config = dict(
        architectures=["ElectraForSequenceClassification"],
        model_type="electra",
        embedding_size=embedding,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        hidden_act="gelu",
        max_position_embeddings=POSITIONS,
        type_vocab_size=2,
        vocab_size=len(VOCAB),
        layer_norm_eps=1e-12,
        pad_token_id=0,
        position_embedding_type="absolute",
        summary_activation="gelu",
        summary_type="first",
        summary_use_proj=True,
        id2label={str(i): f"LABEL_{i}" for i in range(labels)},
        label2id={f"LABEL_{i}": i for i in range(labels)},
    )
    write_json(folder / "config.json", config)
    write_json(
        folder / "tokenizer_config.json",
        dict(
            do_lower_case=True,
            tokenize_chinese_chars=True,
            strip_accents=None,
            tokenizer_class="ElectraTokenizer",
            model_max_length=POSITIONS,
            unk_token="[UNK]",
            sep_token="[SEP]",
            pad_token="[PAD]",
            cls_token="[CLS]",
            mask_token="[MASK]",
        ),
    )
    (folder / "vocab.txt").write_text("\n".join(VOCAB) + "\n")
    tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
    tokenizer.enable_truncation(POSITIONS, strategy="longest_first")
    encoded = [tokenizer.encode(*pair) for pair in PAIRS]

    model = ElectraForSequenceClassification(
        ElectraConfig.from_pretrained(folder, attn_implementation="eager")
    ).eval()
    state = randomise(model, seed)
    forward = lambda m, e: m(**tensors(e)).logits[0]
    model.load_state_dict(state)
    calibrate(state, torch.stack([forward(model, e) for e in encoded]))
    results = store(folder, model, state, dtype, forward, encoded)
    cases = [
        dict(query=q, passage=p, ids=e.ids, query_tokens=e.type_ids.count(0), logits=figures(z))
        for (q, p), e, z in zip(PAIRS, encoded, results)
    ]
    write_cases(folder, POSITIONS, cases)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    for name in VARIANTS:
        write_model(name)
