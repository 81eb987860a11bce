#!/usr/bin/env python3
"""Compares `lanerank tokenize` with the Hugging Face `tokenizers` package on Unigrams.

    pip install tokenizers==0.23.3 sentencepiece==0.2.3
    python tests/peers/compare_unigram.py target/release/lanerank
        [--data ../shared/data] [--only NAME] [--tokenizer TOKENIZER.JSON]

Covers what compare_tokenizer.py covers, and words without spaces of many lengths, with the parts
that transformers has written for XLM-RoBERTa: white space split or not, several spaces kept or not.
The pieces are those of --tokenizer, else 30,000 that sentencepiece trains on the texts; its
nmt_nfkc is the normaliser. Prints how many sequences of each differ, and exits 1 if any does.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import sentencepiece
from tokenizers import Tokenizer
from compare_tokenizer import BATCH, SHOWN, code_points, eval_sets, text_sets

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/goldens"))
from make_unigram_goldens import charsmap, changed, tokenizer_json, variants

MAX_LENGTHS = (512, 16)
CHOSEN = {"split": 0, "kept": 1, "mark": 3}


def trained(texts, folder):
    """A file with pieces of these texts."""
    lines = [" ".join(t.split()) for t in texts if isinstance(t, str)]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(line for line in lines if line),
        model_prefix=f"{folder}/model",
        vocab_size=30_000,
        hard_vocab_limit=False,
        character_coverage=0.9995,
        input_sentence_size=200_000,
        max_sentence_length=20_000,
        minloglevel=2,
    )
    model = pathlib.Path(f"{folder}/model.model").read_bytes()
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    pieces = [
        [processor.id_to_piece(i), processor.get_score(i)]
        for i in range(3, processor.get_piece_size())
    ]
    return tokenizer_json(pieces, charsmap(model))


def long_words(texts):
    """Texts without their spaces, alone and repeated, and random ones."""
    r = random.Random(3)
    alphabet = "aeiourstlnmdéßжд的一人를ั้ी🙂\u0301\u200d"
    for text in texts[::40]:
        word = "".join(t for t in text.split()) if isinstance(text, str) else ""
        yield word[:2000]
        yield (word * 60)[: r.randrange(1, 30_000)]
    for _ in range(200):
        letters = alphabet[: r.randrange(1, len(alphabet) + 1)]
        yield "".join(r.choice(letters) for _ in range(r.randrange(1, 20_000)))


def compare(binary, file, max_length, inputs):
    """Number of differing sequences; shows the first few."""
    tokenizer = Tokenizer.from_str(file.read_text("utf-8"))
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    command = [binary, "tokenize", "--tokenizer", str(file), "--max-length", str(max_length)]
    differing = seen = 0
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as texts:
        texts.writelines(json.dumps(x) + "\n" for x in inputs)
        texts.flush()
        command.append(texts.name)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as ours:
            for start in range(0, len(inputs), BATCH):
                batch = inputs[start : start + BATCH]
                batch = [x if isinstance(x, str) else tuple(x) for x in batch]
                for text, want in zip(batch, tokenizer.encode_batch_fast(batch)):
                    have = json.loads(ours.stdout.readline())
                    seen += 1
                    if have != {"ids": want.ids, "type_ids": want.type_ids}:
                        differing += 1
                        if differing <= SHOWN:
                            ids = have["ids"]
                            print(f"  {text!r:.300}\n  want {want.ids[:40]}\n  have {ids[:40]}")
            assert ours.stdout.readline() == b""
        assert ours.returncode == 0 and seen == len(inputs), command
    return differing


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("binary", help="the lanerank program")
    parser.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--only", default="", help="ways and sets whose names have this in them")
    parser.add_argument("--tokenizer", type=pathlib.Path, help="a tokenizer.json of XLM-RoBERTa")
    args = parser.parse_args()
    texts = list(text_sets(args.data / "text"))
    everything = [text for _, inputs in texts for text in inputs]
    sets = [
        ("code points", list(code_points())),
        ("long words", list(long_words(everything))),
        *texts,
        *eval_sets(args.data / "eval"),
    ]
    differing = sequences = 0
    with tempfile.TemporaryDirectory() as folder:
        if args.tokenizer:
            base = json.loads(args.tokenizer.read_text("utf-8"))
        else:
            base = trained(everything, folder)
        file = pathlib.Path(folder) / "tokenizer.json"
        for way, number in CHOSEN.items():
            file.write_text(json.dumps(changed(base, variants(base)[number])), "utf-8")
            for kind, inputs in sets:
                if args.only not in f"{way} {kind}":
                    continue
                # Long texts are compared whole.
                lengths = {"code points": (512,), "long words": (1 << 20,)}.get(kind, MAX_LENGTHS)
                counts = [compare(args.binary, file, n, inputs) for n in lengths]
                differing += sum(counts)
                sequences += len(inputs) * len(lengths)
                print(f"{way} {kind}: {len(inputs)} x {lengths}: {counts} differ", flush=True)
    print(f"{differing} of {sequences} sequences differ")
    return differing > 0 or sequences == 0


if __name__ == "__main__":
    sys.exit(main())
