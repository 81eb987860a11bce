#!/usr/bin/env python3
"""Checks the multilingual shape, two logits over the 105,879 uncased pieces of
bert-base-multilingual-uncased, on texts in seven languages against tokenizers and transformers.

    python tests/check_multilingual.py target/release/lanerank [--data ../shared/data] [--queries 40] [--candidates 8]
    python tests/check_multilingual.py --golden [--data ../shared/data]      # writes tests/data/model/multilingual

A seeded model of that vocabulary, 2 layers of 32, is converted; then for each of xquad-* and jaquad-dev
the first candidates of the first queries are tokenised and scored. Asked for: every id the same, f32
logits (second less first) within 1e-4, f16 within 3e-2, scores equal to the softmax's second entry.
Printed beside them: int8's largest difference and its mean Kendall tau.

The golden is the same model with only the pieces that its texts need: the beginnings of
the Universal Declaration of Human Rights in twenty languages (tests/data/tokenizer/udhr_multilingual.txt).
"""
import argparse, json, sys, tempfile
from pathlib import Path
import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertForSequenceClassification
import common, make_model_goldens as tiny

HERE = Path(__file__).parent
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
HIDDEN, HEADS, LAYERS, INNER = 32, 2, 2, 64
BOUNDS = {"f32": 1e-4, "f16": 3e-2, "int8": np.inf}


def make_model(folder, vocab, positions, dtype):
    """Writes a model folder; returns its tokenizer and the torch model."""
    folder.mkdir(parents=True, exist_ok=True)
    tiny.write_json(folder / "config.json", dict(
        architectures=["BertForSequenceClassification"], model_type="bert", hidden_size=HIDDEN, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, intermediate_size=INNER, hidden_act="gelu", max_position_embeddings=positions,
        type_vocab_size=2, vocab_size=len(vocab), layer_norm_eps=1e-12, pad_token_id=0, id2label={"0": "LABEL_0", "1": "LABEL_1"}))
    tiny.write_json(folder / "tokenizer_config.json", dict(do_lower_case=True, tokenizer_class="BertTokenizer", model_max_length=positions))
    (folder / "vocab.txt").write_text("\n".join(vocab) + "\n", "utf-8")
    tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
    tokenizer.enable_truncation(positions, strategy="longest_first")
    tiny.VOCAB, tiny.POSITIONS = vocab, positions
    w = tiny.make_weights(99, HIDDEN, LAYERS, INNER, 2, True)
    w["classifier.weight"] *= 12                      # logits spread about as a trained ranker's do
    stored = {key: value.to(dtype).contiguous() for key, value in tiny.prefixed(w).items()}
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    model = BertForSequenceClassification(BertConfig.from_pretrained(folder, attn_implementation="eager"))
    model.load_state_dict({key: value.float() for key, value in stored.items()}, strict=True)
    return tokenizer, model.eval()


def logits(model, encoded):
    return np.array([model(**tiny.tensors(e)).logits[0].numpy() for e in encoded])


def write_golden(full):
    lines = (HERE / "data/tokenizer/udhr_multilingual.txt").read_text("utf-8").splitlines()
    lines = [line for line in lines if len(line) > 60]
    by_script = {}
    for line in lines:
        by_script.setdefault(ord(next(c for c in line if c.isalpha())) // 128, []).append(line)
    texts = [(group[i][:24], group[i][10:90]) for group in by_script.values() for i in range(0, min(len(group), 4), 2)]
    with tempfile.TemporaryDirectory() as tmp:
        path = Path(tmp) / "vocab.txt"
        path.write_text("\n".join(full) + "\n", "utf-8")
        whole = BertWordPieceTokenizer(str(path), lowercase=True)
    used = {token for pair in texts for token in whole.encode(*pair).tokens}
    vocab = [piece for piece in full if piece in used or piece in SPECIAL]
    folder = HERE / "data/model/multilingual"
    tokenizer, model = make_model(folder, vocab, 64, torch.float16)
    encoded = [tokenizer.encode(*pair) for pair in texts]
    unknown = sum(e.tokens.count("[UNK]") for e in encoded) / sum(len(e.ids) for e in encoded)
    assert unknown < 0.1, unknown
    cases = [dict(query=q, passage=p, ids=e.ids, query_tokens=e.type_ids.count(0), logits=tiny.figures(torch.from_numpy(z)))
             for (q, p), e, z in zip(texts, encoded, logits(model, encoded))]
    rows = ",\n".join(" " + json.dumps(case, ensure_ascii=False) for case in cases)
    (folder / "expected.json").write_text(f'{{"max_length": 64, "cases": [\n{rows}\n]}}\n', "utf-8")
    print(f"{folder}: {len(cases)} pairs, {len(vocab)} pieces, {100 * unknown:.1f} % unknown")


def check(binary, data, full, queries, candidates):
    sets = sorted(data.glob("eval/xquad-*")) + [data / "eval/jaquad-dev"]
    failed = False
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        tokenizer, model = make_model(tmp / "m", full, 512, torch.float32)
        lanes = {dtype: common.convert(binary, tmp / "m", tmp / f"{dtype}.lane", dtype) for dtype in BOUNDS}
        for folder in sets:
            docs, texts, _, run = common.read_dataset(folder)
            off, taus, differing, pairs = dict.fromkeys(BOUNDS, 0.0), [], 0, 0
            worst_score = 0.0
            for q in list(run)[:queries]:
                passages = [docs[d] for d in list(run[q])[:candidates]]
                encoded = [tokenizer.encode(texts[q], p) for p in passages]
                lines = "".join(json.dumps([texts[q], p]) + "\n" for p in passages)
                ours = common.run(binary, "tokenize", "--model", lanes["f32"], "--max-length", 512, stdin=lines).splitlines()
                differing += sum(json.loads(line)["ids"] != e.ids for line, e in zip(ours, encoded, strict=True))
                pairs += len(passages)
                z = logits(model, encoded)
                expected, softmax = z[:, 1] - z[:, 0], np.exp(z[:, 1]) / np.exp(z).sum(1)
                request = json.dumps(dict(query=texts[q], passages=[dict(text=p) for p in passages]))
                for dtype, lane in lanes.items():
                    hits = json.loads(common.run(binary, "rerank", "--model", lane, "--json", stdin=request))
                    hits = sorted(hits, key=lambda hit: hit["index"])
                    got = np.array([hit["logit"] for hit in hits])
                    off[dtype] = max(off[dtype], float(np.abs(got - expected).max()))
                    if dtype == "f32":
                        scores = np.array([hit["score"] for hit in hits])
                        worst_score = max(worst_score, float(np.abs(scores - softmax).max()))
                    if dtype == "int8":
                        taus.append(common.kendall_tau(got, expected))
            bad = differing or worst_score > 1e-4 or any(not off[d] <= BOUNDS[d] for d in BOUNDS)
            failed |= bool(bad)
            figures = " ".join(f"{d} {x:.1e}" for d, x in off.items())
            print(f"{folder.name:<11} {pairs} pairs, {differing} with other ids; largest difference {figures}, of scores "
                  f"{worst_score:.1e}; int8 tau {np.mean(taus):.3f}{'  MISSED' if bad else ''}", flush=True)
    return failed


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("binary", nargs="?")
    ap.add_argument("--data", type=Path, default=Path("../shared/data"))
    ap.add_argument("--queries", type=int, default=40)
    ap.add_argument("--candidates", type=int, default=8)
    ap.add_argument("--golden", action="store_true")
    a = ap.parse_args()
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    full = (a.data / "vocab/bert-base-multilingual-uncased/vocab.txt").read_text("utf-8").splitlines()
    assert len(full) == 105879
    if a.golden:
        write_golden(full)
    else:
        sys.exit(check(a.binary, a.data, full, a.queries, a.candidates))
