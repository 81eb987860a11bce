"""Initial weights: knowledge that needs no training.

Word embeddings come from all-MiniLM-L6-v2 in two halves of 64, one per attention head:
  - form: principal components of the encoder's input embeddings;
  - meaning: principal components of the encoder's output for each word alone.
The first layer's queries and keys start as the identity. So a token attends to similar tokens of
the other text from the first step: soft lexical matching.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file

from .model import HEAD, HIDDEN, POSITIONS, VOCABULARY, CrossEncoder


def initialise(model: CrossEncoder, encoder: Path, cache: Path, seed: int, words: str) -> None:
    torch.manual_seed(seed)
    table = load_file(encoder / "model.safetensors")["embeddings.word_embeddings.weight"].float()
    if words == "input":
        vectors = principal(table, HIDDEN)
    else:
        vectors = torch.cat([principal(table, HEAD), principal(alone(encoder, cache), HEAD)], 1)
    with torch.no_grad():
        model.word.weight.copy_(vectors * 0.05)
        model.segment.weight.mul_(2.5)
        model.position.weight.copy_(smooth_positions())
        first = model.layers[0]
        for linear in (first.query, first.key):
            linear.weight.copy_(torch.eye(HIDDEN) + 0.02 * torch.randn(HIDDEN, HIDDEN))


def principal(rows: torch.Tensor, count: int) -> torch.Tensor:
    """The first principal components, scaled to an overall standard deviation of 1 and randomly
    rotated, so that dimensions have similar widths."""
    rows = rows - rows.mean(0)
    _, _, v = torch.linalg.svd(rows, full_matrices=False)
    scores = rows @ v[:count].T
    turn = torch.linalg.qr(torch.randn(count, count))[0]
    return scores / scores.std() @ turn


def alone(encoder: Path, cache: Path) -> torch.Tensor:
    """The encoder's vector of each piece of the vocabulary between [CLS] and [SEP]."""
    file = cache / "alone.pt"
    if not file.exists():
        from transformers import BertModel

        bert = BertModel.from_pretrained(encoder, add_pooling_layer=False).eval()
        ids = torch.arange(VOCABULARY)[:, None]
        sequences = torch.cat([torch.full_like(ids, 101), ids, torch.full_like(ids, 102)], 1)
        with torch.inference_mode():
            parts = [
                bert(input_ids=part).last_hidden_state.mean(1) for part in sequences.split(512)
            ]
        torch.save(torch.cat(parts), file)
    return torch.load(file)


def smooth_positions() -> torch.Tensor:
    """Slow sinusoids, small enough not to drown the words."""
    wavelengths = 4.0 * 1.15 ** torch.arange(HIDDEN // 2)
    angles = torch.arange(POSITIONS)[:, None] * (2 * torch.pi / wavelengths)
    mixed = torch.cat([angles.sin(), angles.cos()], 1)
    return 0.01 * mixed @ torch.linalg.qr(torch.randn(HIDDEN, HIDDEN))[0]
