"""Makes a model file from a checkpoint: calibration, Hugging Face's layout, conversion."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from .batches import Pool
from .model import (
    HEADS,
    HIDDEN,
    INNER,
    LAYERS,
    POSITIONS,
    VOCABULARY,
    CrossEncoder,
    state_for_hugging_face,
)
from .train import held_out_lists, score_lists

DEPTH = 20
TOKENIZER_FILES = (
    "vocab.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)


def calibrate(model: CrossEncoder, pool: Pool) -> dict[str, float]:
    """Scales and shifts the logit by logistic regression (Platt), which keeps the ranking.

    Afterwards the logit's sigmoid is the share of labels among held-out candidates with that score,
    if labels were as frequent as other candidates. Fits on one half of the held-out queries and
    measures the expected calibration error (15 equal bins) on the other half."""
    lists = held_out_lists(pool, 2000, DEPTH)
    logits = [torch.from_numpy(s).double() for s in score_lists(model, pool, lists, longest=200)]
    truths = [torch.from_numpy(c == pool.label[q]).double() for q, c in lists]
    fit, check = slice(0, None, 2), slice(1, None, 2)
    scale, shift = torch.ones((), dtype=torch.double), torch.zeros((), dtype=torch.double)
    x, y = torch.cat(logits[fit]), torch.cat(truths[fit])
    optimizer = torch.optim.LBFGS([scale.requires_grad_(), shift.requires_grad_()], max_iter=100)

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            scale * x + shift, y, balance(y)
        )
        loss.backward()
        return loss

    optimizer.step(closure)
    scale, shift = scale.item(), shift.item()
    if scale <= 0:
        raise ValueError("calibration reversed the ranking: the model has learned nothing")
    with torch.no_grad():
        model.classifier.weight.mul_(scale)
        model.classifier.bias.mul_(scale).add_(shift)
    x, y = torch.cat(logits[check]), torch.cat(truths[check])
    weights = balance(y).numpy()
    before, after = (
        expected_calibration_error(torch.sigmoid(z).numpy(), y.numpy(), weights)
        for z in (x, scale * x + shift)
    )
    return {
        "scale": scale,
        "shift": shift,
        "queries": len(lists),
        "error_before": before,
        "error": after,
    }


def balance(truths: torch.Tensor) -> torch.Tensor:
    """Weights that give labels and other candidates the same total."""
    share = truths.mean()
    return torch.where(truths == 1, 0.5 / share, 0.5 / (1 - share))


def expected_calibration_error(
    scores: np.ndarray, truths: np.ndarray, weights: np.ndarray, bins: int = 15
) -> float:
    """Weighted mean distance between score and share of truths over equal bins (Guo et al. 2017,
    https://arxiv.org/abs/1706.04599)."""
    which = np.minimum((scores * bins).astype(int), bins - 1)
    error = 0.0
    for bin_ in range(bins):
        inside = which == bin_
        if inside.any():
            weight = weights[inside]
            error += abs(np.dot(weight, scores[inside] - truths[inside]))
    return float(error / weights.sum())


def export(model: CrossEncoder, encoder: Path, folder: Path) -> None:
    """Writes a folder in the layout of Hugging Face's transformers."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": INNER,
        "hidden_act": "gelu",
        "max_position_embeddings": POSITIONS,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
        "id2label": {"0": "LABEL_0"},
        "label2id": {"LABEL_0": 0},
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file(state_for_hugging_face(model), folder / "model.safetensors", {"format": "pt"})
    for name in TOKENIZER_FILES:
        if (encoder / name).exists():
            shutil.copyfile(encoder / name, folder / name)


def convert(binary: Path, folder: Path, out: Path, dtype: str) -> None:
    subprocess.run([binary, "convert", folder, "-o", out, "--dtype", dtype], check=True)
