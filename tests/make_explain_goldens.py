#!/usr/bin/env python3
"""Writes tests/data/model/*/explained.json: what words of a passage add to a cross-encoder's logit, by transformers.

    pip install -r tests/requirements.txt && python tests/make_explain_goldens.py

For the pairs of each folder's expected.json: [{"query", "passage", "words": [[start, effect]]}] with the
place of the word's first character in the passage, in code points, and the logit less the one that BertForSequenceClassification gives where its last layer's
attention mask leaves the word's tokens out (two labels: the difference of the logits). Only the
first token's row of that layer is used after it, so that is what it takes for this token alone not to attend to the
word. Words as the tokenizer splits before WordPiece. f32, eval mode.
"""
import json
from pathlib import Path
import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertForSequenceClassification

DATA = Path(__file__).parent / "data/model"


def rest(model, hidden, mask):
    """The logit from the rows before the last layer, of which the masked ones are not attended to."""
    additive = torch.zeros(1, 1, 1, len(mask)).masked_fill(~torch.tensor(mask), torch.finfo(torch.float32).min)
    out = model.bert.encoder.layer[-1](hidden, attention_mask=additive)
    out = out[0] if isinstance(out, tuple) else out
    z = model.classifier(model.bert.pooler(out))[0].double()
    return float(z[0] if len(z) == 1 else z[1] - z[0])


def explain(model, tokenizer, query, passage):
    e = tokenizer.encode(query, passage)
    rows = {}

    def keep(layer, args, kwargs):
        rows["last"] = args[0] if args else kwargs["hidden_states"]

    hook = model.bert.encoder.layer[-1].register_forward_pre_hook(keep, with_kwargs=True)
    model(input_ids=torch.tensor([e.ids]), token_type_ids=torch.tensor([e.type_ids]))
    hook.remove()
    # `word_ids` counts in each text anew; None are special tokens.
    words = {}
    for i, (word, sequence) in enumerate(zip(e.word_ids, e.sequence_ids)):
        if sequence == 1:
            words.setdefault(word, []).append(i)
    everything = [True] * len(e.ids)
    whole = rest(model, rows["last"], everything)
    result = []
    for tokens in words.values():
        without = rest(model, rows["last"], [i not in tokens for i in range(len(e.ids))])
        result.append([e.offsets[tokens[0]][0], float(f"{whole - without:.6g}")])
    return result


@torch.no_grad()
def main():
    for folder in sorted(DATA.iterdir()):
        expected = json.loads((folder / "expected.json").read_text())
        if "query" not in expected["cases"][0]:
            continue
        model = BertForSequenceClassification.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
        tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
        tokenizer.enable_truncation(expected["max_length"], strategy="longest_first")
        pairs = dict.fromkeys((case["query"], case["passage"]) for case in expected["cases"])
        rows = [dict(query=q, passage=p, words=explain(model, tokenizer, q, p)) for q, p in pairs]
        lines = ",\n ".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (folder / "explained.json").write_text(f"[{lines}]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
