#!/usr/bin/env python3
"""Writes tests/data/model/masked-lm/: a BertForMaskedLM with the files of sentence-transformers,
which makes it a sentence encoder, and the vectors of sentence-transformers.

    pip install -r tests/peers/requirements.txt && python tests/goldens/make_masked_lm_goldens.py

Made with transformers 5.24.0, torch 2.15.0 and sentence-transformers 6.2.0.
"""

from pathlib import Path
import torch
from make_model_goldens import PAIRS, VOCAB, figures, make_weights, write_json
from sentence_transformers import SentenceTransformer
from transformers import BertConfig, BertForMaskedLM

OUT = Path(__file__).parents[1] / "data/model/masked-lm"
HIDDEN, HEADS, LAYERS, INNER, POSITIONS = 16, 2, 2, 24, 64
TEXTS = [PAIRS[i][1] for i in (0, 1, 2, 4, 6, 8)]
KIND = "sentence_transformers.models."


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    config = BertConfig(
        hidden_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=INNER,
        vocab_size=len(VOCAB),
        max_position_embeddings=POSITIONS,
    )
    torch.manual_seed(4)
    model = BertForMaskedLM(config)
    weights = make_weights(4, HIDDEN, LAYERS, INNER, 0, True)
    weights = {k: v for k, v in weights.items() if not k.startswith("pooler.")}
    model.bert.load_state_dict(weights, strict=True)
    model.save_pretrained(OUT)
    (OUT / "generation_config.json").unlink(missing_ok=True)
    (OUT / "vocab.txt").write_text("\n".join(VOCAB) + "\n")
    write_json(
        OUT / "tokenizer_config.json",
        dict(do_lower_case=True, tokenizer_class="BertTokenizer", model_max_length=POSITIONS),
    )
    modules = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
    write_json(
        OUT / "modules.json",
        [
            dict(idx=i, name=str(i), path=path, type=KIND + kind)
            for i, (kind, path) in enumerate(modules)
        ],
    )
    write_json(
        OUT / "1_Pooling/config.json",
        dict(word_embedding_dimension=HIDDEN, pooling_mode_mean_tokens=True),
    )
    encoder = SentenceTransformer(str(OUT), device="cpu")
    vectors = [figures(vector) for vector in encoder.encode(TEXTS, batch_size=1)]
    write_json(OUT / "expected.json", dict(texts=TEXTS, vectors=vectors))


if __name__ == "__main__":
    torch.set_num_threads(1)
    with torch.no_grad():
        main()
