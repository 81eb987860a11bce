"""A BERT cross-encoder of TinyBERT's shape that runs the last layer for [CLS] only.

Computes the same function as Hugging Face's BertForSequenceClassification (erf GELU, tanh pooler,
epsilon 1e-12); tests/ compares the two. `state_for_hugging_face` writes its layout.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

VOCABULARY, HIDDEN, HEADS, INNER, LAYERS, POSITIONS = 30522, 128, 2, 512, 2, 512
HEAD = HIDDEN // HEADS


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(HIDDEN, HIDDEN) for _ in range(3))
        self.attended = nn.Linear(HIDDEN, HIDDEN)
        self.norm1 = nn.LayerNorm(HIDDEN, eps=1e-12)
        self.inner = nn.Linear(HIDDEN, INNER)
        self.outer = nn.Linear(INNER, HIDDEN)
        self.norm2 = nn.LayerNorm(HIDDEN, eps=1e-12)

    def finish(self, x, attended):
        x = self.norm1(x + self.attended(attended))
        return self.norm2(x + self.outer(F.gelu(self.inner(x))))

    def every_token(self, x, bias):
        """x [batch, tokens, hidden], bias [batch, 1, 1, tokens]: 0, or -inf on padding."""
        batch, tokens, _ = x.shape
        weight = torch.cat([self.query.weight, self.key.weight, self.value.weight])
        biases = torch.cat([self.query.bias, self.key.bias, self.value.bias])
        joined = (
            F.linear(x, weight, biases).view(batch, tokens, 3, HEADS, HEAD).permute(2, 0, 3, 1, 4)
        )
        # In f32: PyTorch's gradient of attention in bf16 takes seven times as long on a CPU.
        with torch.autocast("cpu", enabled=False):
            attended = F.scaled_dot_product_attention(*joined.float(), attn_mask=bias)
        return self.finish(x, attended.transpose(1, 2).reshape(batch, tokens, HIDDEN))

    def first_token(self, x, bias):
        """The row of [CLS], computed without keys and values: [batch, hidden]."""
        batch = x.shape[0]
        first = x[:, 0]
        query = self.query(first).view(batch, HEADS, HEAD)
        probe = torch.einsum("bhd,hdc->bhc", query, self.key.weight.view(HEADS, HEAD, HIDDEN))
        scores = torch.bmm(probe, x.transpose(1, 2)) / math.sqrt(HEAD) + bias[:, 0]
        mean = torch.bmm(scores.softmax(-1), x)
        value = self.value.weight.view(HEADS, HEAD, HIDDEN)
        attended = torch.einsum("bhc,hdc->bhd", mean, value).reshape(batch, HIDDEN)
        return self.finish(first, attended + self.value.bias)


class CrossEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.word = nn.Embedding(VOCABULARY, HIDDEN)
        self.position = nn.Embedding(POSITIONS, HIDDEN)
        self.segment = nn.Embedding(2, HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN, eps=1e-12)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.pooler = nn.Linear(HIDDEN, HIDDEN)
        self.classifier = nn.Linear(HIDDEN, 1)
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            elif isinstance(module, nn.Linear):
                # BERT's .02 is made for a width of 768; here nothing would be learned for long.
                nn.init.normal_(module.weight, std=module.in_features**-0.5)
                nn.init.zeros_(module.bias)

    def forward(self, ids, segments, positions, lengths):
        """ids, segments, positions [batch, tokens], lengths [batch] -> logits [batch]."""
        tokens = ids.shape[1]
        padding = torch.arange(tokens)[None] >= lengths[:, None]
        bias = torch.zeros(padding.shape).masked_fill_(padding, float("-inf"))[:, None, None]
        x = self.norm(self.word(ids) + self.position(positions) + self.segment(segments))
        for layer in self.layers[:-1]:
            x = layer.every_token(x, bias)
        # Always in f32: it costs little, and bf16 would hide small differences between logits.
        with torch.autocast("cpu", enabled=False):
            x = self.layers[-1].first_token(x.float(), bias)
            return self.classifier(torch.tanh(self.pooler(x)))[:, 0]


NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attended": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "inner": "intermediate.dense",
    "outer": "output.dense",
    "norm2": "output.LayerNorm",
}


def state_for_hugging_face(model: CrossEncoder) -> dict[str, torch.Tensor]:
    renamed = {}
    for name, tensor in model.state_dict().items():
        parts = name.split(".")
        if parts[0] == "layers":
            target = f"bert.encoder.layer.{parts[1]}.{NAMES[parts[2]]}.{parts[3]}"
        else:
            target = {
                "word": "bert.embeddings.word_embeddings.",
                "position": "bert.embeddings.position_embeddings.",
                "segment": "bert.embeddings.token_type_embeddings.",
                "norm": "bert.embeddings.LayerNorm.",
                "pooler": "bert.pooler.dense.",
                "classifier": "classifier.",
            }[parts[0]] + parts[1]
        renamed[target] = tensor.contiguous()
    return renamed
