#!/usr/bin/env python3
"""Compares `lanerank tokenize` with the Hugging Face `tokenizers` package, sequence by sequence.

    pip install tokenizers==0.23.3
    python tests/peers/compare_tokenizer.py target/release/lanerank
        [--data ../shared/data] [--only NAME]

Covers every code point, all texts under `text`, and all queries and passages under `eval`: singly
and as pairs, uncased and cased, at three lengths, with each vocabulary under `vocab`. The texts
also run with a vocabulary of every code point, so that no difference hides in an unknown token.
Prints how many sequences of each differ, and exits 1 if any does.
"""

import argparse
import collections
import gzip
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile

from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

MAX_LENGTHS = (512, 128, 16)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SHOWN = 3
BATCH = 100  # `tokenizers` keeps truncated tokens too, at some hundred bytes each


def lines(path):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.rstrip("\n")


def code_points():
    for c in range(0x110000):
        if not 0xD800 <= c <= 0xDFFF:
            yield chr(c)
            yield f"a{chr(c)}b"


def text_sets(folder):
    """Name and strings of each file under `text`."""
    for path in sorted(folder.glob("*.json*")):
        if path.suffix == ".json":
            yield path.name, json.loads(path.read_text("utf-8"))
        else:
            rows = [json.loads(line) for line in lines(path)]
            yield path.name, [r if isinstance(r, str) else r["text"] for r in rows]
    for path in sorted(folder.glob("*.txt*")):
        rows = list(lines(path))
        yield path.name, rows + [decoded for row in rows for decoded in hex_fields(row)]
    for path in sorted((folder / "golden").glob("*.jsonl.gz")):
        rows = [json.loads(line) for line in lines(path)]
        yield (
            "golden/" + path.name,
            [[r["query"], r["passage"]] if "query" in r else r["text"] for r in rows],
        )


def hex_fields(row):
    """Strings that the Unicode test files write as hexadecimal code points."""
    for field in row.split("#")[0].replace("÷", " ").replace("×", " ").split(";"):
        try:
            points = [int(x, 16) for x in field.split()]
            if points and all(c < 0x110000 and not 0xD800 <= c <= 0xDFFF for c in points):
                yield "".join(map(chr, points))
        except ValueError:
            pass


def eval_sets(folder):
    """Texts and pairs of each collection: three candidates per query, one query per passage."""
    for path in sorted(p for p in folder.iterdir() if p.is_dir()):
        corpus = {}
        for row in map(json.loads, lines(path / "corpus.jsonl.gz")):
            corpus[row["_id"]] = f"{row['title']} {row['text']}" if row["title"] else row["text"]
        queries = {r["_id"]: r["text"] for r in map(json.loads, lines(path / "queries.jsonl"))}
        texts, passages = list(queries.values()), list(corpus.values())
        yield f"{path.name} singly", texts + passages
        pairs = [[texts[i % len(texts)], passage] for i, passage in enumerate(passages)]
        taken = collections.Counter()
        for row in lines(path / "run.bm25.trec.gz"):
            query, _, passage = row.split()[:3]
            if taken[query] < 3 and query in queries and passage in corpus:
                taken[query] += 1
                pairs.append([queries[query], corpus[passage]])
        yield f"{path.name} pairs", pairs


def spelling_vocab(file):
    """Each code point of the first three planes, as a word and as a continuation."""
    file.write("\n".join(SPECIAL) + "\n")
    for c in range(0x30000):
        if not 0xD800 <= c <= 0xDFFF and not chr(c).isspace():
            file.write(f"{chr(c)}\n##{chr(c)}\n")
    file.flush()
    return pathlib.Path(file.name)


def reference(vocab, cased):
    """The tokenizer that BERT's tokenizer.json describes."""
    tokenizer = Tokenizer(WordPiece.from_file(str(vocab), unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=not cased)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIAL])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(s, tokenizer.token_to_id(s)) for s in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def ours(binary, vocab, cased, max_length, path):
    command = [binary, "tokenize", "--vocab", str(vocab), "--max-length", str(max_length)]
    command += ["--cased"] * cased + [path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        yield from map(json.loads, process.stdout)
    assert process.returncode == 0, command


def compare(binary, vocab, cased, max_length, inputs):
    """Number of differing sequences; shows the first few."""
    tokenizer = reference(vocab, cased)
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    differing = seen = 0
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.writelines(json.dumps(x) + "\n" for x in inputs)
        file.flush()
        results = ours(binary, vocab, cased, max_length, file.name)
        for start in range(0, len(inputs), BATCH):
            batch = [x if isinstance(x, str) else tuple(x) for x in inputs[start : start + BATCH]]
            for text, want, have in zip(batch, tokenizer.encode_batch_fast(batch), results):
                seen += 1
                if have != {"ids": want.ids, "type_ids": want.type_ids}:
                    differing += 1
                    if differing <= SHOWN:
                        print(f"  {text!r:.300}\n  want {want.ids[:40]}\n  have {have['ids'][:40]}")
        assert seen == len(inputs) and next(results, None) is None
    return differing


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("binary", help="the lanerank program")
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--data", type=pathlib.Path, default=root.parent / "shared" / "data")
    parser.add_argument(
        "--only", default="", help="vocabularies, cases and sets whose names have this in them"
    )
    parser.add_argument(
        "--max-length", type=int, action="append", help="instead of 512, 128 and 16"
    )
    args = parser.parse_args()
    max_lengths = args.max_length or MAX_LENGTHS
    texts = [("code points", list(code_points())), *text_sets(args.data / "text")]
    sets = texts + list(eval_sets(args.data / "eval"))
    vocabs = {p.parent.name: (p, sets) for p in sorted((args.data / "vocab").glob("*/vocab.txt"))}
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8", newline="\n") as file:
        vocabs["spelling"] = (spelling_vocab(file), texts)
        differing = sequences = 0
        for name, (vocab, chosen) in vocabs.items():
            for cased, (kind, inputs) in itertools.product((False, True), chosen):
                case = "cased" if cased else "uncased"
                label = f"{name} {case} {kind}"
                if args.only not in label:
                    continue
                lengths = max_lengths[:1] if kind == "code points" else max_lengths
                counts = [compare(args.binary, vocab, cased, n, inputs) for n in lengths]
                differing += sum(counts)
                sequences += len(inputs) * len(lengths)
                print(f"{label}: {len(inputs)} x {lengths}: {counts} differ", flush=True)
    print(f"{differing} of {sequences} sequences differ")
    return differing > 0 or sequences == 0


if __name__ == "__main__":
    sys.exit(main())
