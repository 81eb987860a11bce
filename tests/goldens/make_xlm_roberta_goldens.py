#!/usr/bin/env python3
"""Writes tests/data/model/xlm-roberta*/: tiny random XLM-RoBERTas and their results.

    pip install -r tests/peers/requirements.txt
    python tests/goldens/make_unigram_goldens.py && python tests/goldens/make_xlm_roberta_goldens.py

    xlm-roberta          cross-encoder, 1 label, 2 heads of 16, 2 layers, f16, model.safetensors
    xlm-roberta-2        cross-encoder, 2 labels, 3 heads of 12, 1 layer, f32, pytorch_model.bin
    xlm-roberta-encoder  encoder, mean over tokens, unit length, unused pooler, f16, no prefix

The tokenizer is make_unigram_goldens.py's. Files and results have the form of
make_model_goldens.py: by transformers in f32, eval mode, from the stored weights. Texts with
`<pad>` are among them, because such a token takes no position. The weights are the same on every
run and machine.
"""

import shutil
from pathlib import Path
import torch
from tokenizers import Tokenizer
from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification, XLMRobertaModel
from make_electra_goldens import calibrate, randomise, store, write_cases
from make_model_goldens import OUT, figures, write_json

TOKENIZER = Path(__file__).parents[1] / "data/tokenizer/unigram/tokenizer.json"
POSITIONS = 66
LENGTH = POSITIONS - 2
LONG = "All human beings are born free and equal in dignity and rights. "
PAIRS = [
    ("who is born free", LONG),
    ("who is born free", "人人生而自由,在尊严和权利上一律平等。"),
    (
        "¿quién nace libre?",
        "Todos los seres humanos nacen libres e iguales en dignidad y derechos.",
    ),
    ("rights", ""),
    ("", "An empty query."),
    ("", ""),
    ("why", "b"),
    ("what is freedom", LONG * 6),  # the passage is cut
    (LONG * 6, "the people"),  # the query is cut
    (LONG * 4, LONG * 5),  # both are
    ("cafe\u0301 \ufb01ne", "a<pad>b <pad> c and <mask> \u16a0\u16a0"),
    ("<pad> query", "everyone <pad>"),
    ("الحرية", "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق."),
]
TEXTS = list(dict.fromkeys(p for _, p in PAIRS)) + [LONG * 3 + "why"]

# seed, hidden, heads, layers, inner, labels (0: encoder), types, dtype
VARIANTS = {
    "xlm-roberta": (21, 32, 2, 2, 48, 1, 1, torch.float16),
    "xlm-roberta-2": (22, 36, 3, 1, 40, 2, 2, torch.float32),
    "xlm-roberta-encoder": (23, 32, 2, 1, 40, 0, 1, torch.float16),
}


def tensors(encoded):
    return dict(
        input_ids=torch.tensor([encoded.ids]), attention_mask=torch.ones(1, len(encoded.ids))
    )


def settings(folder, name):
    _, hidden, heads, layers, inner, labels, types, _ = VARIANTS[name]
    classes = "XLMRobertaForSequenceClassification" if labels else "XLMRobertaModel"
    config = dict(
        architectures=[classes],
        model_type="xlm-roberta",
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        hidden_act="gelu",
        max_position_embeddings=POSITIONS,
        type_vocab_size=types,
        vocab_size=Tokenizer.from_file(str(TOKENIZER)).get_vocab_size(),
        layer_norm_eps=1e-5,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        position_embedding_type="absolute",
    )
    if labels:
        config["id2label"] = {str(i): f"LABEL_{i}" for i in range(labels)}
        config["label2id"] = {f"LABEL_{i}": i for i in range(labels)}
    write_json(folder / "config.json", config)
    mask = dict(content="<mask>", lstrip=True, normalized=False, rstrip=False, single_word=False)
    write_json(
        folder / "tokenizer_config.json",
        dict(
            tokenizer_class="XLMRobertaTokenizer",
            model_max_length=LENGTH,
            bos_token="<s>",
            eos_token="</s>",
            unk_token="<unk>",
            sep_token="</s>",
            pad_token="<pad>",
            cls_token="<s>",
            mask_token=dict(__type="AddedToken", **mask),
            sp_model_kwargs={},
            clean_up_tokenization_spaces=True,
        ),
    )
    shutil.copyfile(TOKENIZER, folder / "tokenizer.json")
    if not labels:
        names = ("Transformer", "Pooling", "Normalize")
        paths = ("", "1_Pooling", "2_Normalize")
        modules = [
            dict(idx=i, name=str(i), path=path, type=f"sentence_transformers.models.{kind}")
            for i, (kind, path) in enumerate(zip(names, paths))
        ]
        write_json(folder / "modules.json", modules)
        pooling = dict(word_embedding_dimension=hidden, pooling_mode_mean_tokens=True)
        write_json(folder / "1_Pooling/config.json", pooling)


def write_model(name):
    seed, *_, labels, _, dtype = VARIANTS[name]
    folder = OUT / name
    settings(folder, name)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(LENGTH, strategy="longest_first")
    config = XLMRobertaConfig.from_pretrained(folder, attn_implementation="eager")
    if labels:
        model = XLMRobertaForSequenceClassification(config).eval()
        encoded = [tokenizer.encode(*pair) for pair in PAIRS]
        forward = lambda m, e: m(**tensors(e)).logits[0]
    else:
        model = XLMRobertaModel(config).eval()
        encoded = [tokenizer.encode(text) for text in TEXTS]
        mean = lambda m, e: m(**tensors(e)).last_hidden_state[0].mean(0)
        forward = lambda m, e: torch.nn.functional.normalize(mean(m, e), dim=0)
    state = randomise(model, seed)
    model.load_state_dict(state)
    if labels:
        calibrate(state, torch.stack([forward(model, e) for e in encoded]))
    results = store(folder, model, state, dtype, forward, encoded)
    if labels:
        cases = [
            dict(query=q, passage=p, ids=e.ids, query_tokens=len(e.ids), logits=figures(z))
            for (q, p), e, z in zip(PAIRS, encoded, results)
        ]
    else:
        cases = [
            dict(text=t, ids=e.ids, embedding=figures(z))
            for t, e, z in zip(TEXTS, encoded, results)
        ]
    write_cases(folder, LENGTH, cases)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    for name in VARIANTS:
        write_model(name)
