#!/usr/bin/env python3
"""Writes tests/data/tokenizer/normalized.jsonl and tests/data/tokenizer/folders.json.

    pip install -r tests/peers/requirements.txt && python tests/goldens/make_added_token_goldens.py

normalized.jsonl: added tokens with `normalized: true`, in the form of cases.jsonl, by tokenizers.
folders.json: files of a tokenizer's folder next to vocab.txt, pairs of texts and their ids, by
transformers. Made with tokenizers 0.23.3 and transformers 5.23.0.
"""

import itertools, json, random, tempfile
from pathlib import Path
from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece
from transformers import BertTokenizer

DATA = Path(__file__).parents[1] / "data/tokenizer"
STEPS = dict(clean_text="c", handle_chinese_chars="h", strip_accents="s", lowercase="l")
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
FLAGS = ("single_word", "lstrip", "rstrip", "special", "normalized")
TOKENS = [
    ("#HashTag", {}),
    ("Café", dict(single_word=True)),
    ("水", {}),
    ("Q:", dict(lstrip=True, rstrip=True)),
    ("[raw]", dict(normalized=False)),
    ("[Raw]x", {}),
    ("İx", {}),
    ("[ENT]", dict(special=True, normalized=True)),
]
TEXTS = [
    "#hashtag #HASHTAG #Hash\0Tag x#hashtagx #ha\u0301shtag",
    "café CAFE cafe\u0301 cafes decafe cafe, (CAFÉ)",
    "水 a水b 水水 \u2f82 水[raw]水",
    "a  Q:\t b q:Q: \u3000q:",
    "[raw] [RAW] [raw]x [Raw]x [rAw]X [raw][raw]x",
    "İx ix i\u0307x I\u0307X",
    "[ENT][ent] [ent]x",
    "\u1e9b\u0323 \u0301\u0327\u0345 \u0f71\u0f72\u0f74#hashtag",
]


def token_rows():
    parts = sorted({c for t in TEXTS for c in t}) + [t for t, _ in TOKENS]
    rng = random.Random(5)
    mixed = ["".join(rng.choices(parts, k=rng.randint(2, 20))) for _ in range(40)]
    for on in itertools.product((False, True), repeat=4):
        steps = dict(zip(STEPS, on))
        t = Tokenizer(WordPiece.from_file(str(DATA / "vocab.txt"), unk_token="[UNK]"))
        t.normalizer = normalizers.BertNormalizer(**steps)
        t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        t.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIAL])
        for text, flags in TOKENS:
            token = AddedToken(text, **{"normalized": True, "special": False} | flags)
            (t.add_special_tokens if token.special else t.add_tokens)([token])
        ids = [(s, t.token_to_id(s)) for s in ("[CLS]", "[SEP]")]
        t.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
        )
        added = [
            dict(id=i, content=a.content) | {f: True for f in FLAGS if getattr(a, f)}
            for i, a in sorted(t.get_added_tokens_decoder().items())
        ]
        for text in TEXTS + mixed if on[2] == on[3] == on[0] else TEXTS[:4]:
            yield dict(
                vocab="vocab.txt",
                steps="".join(STEPS[s] for s in STEPS if steps[s]),
                added=added,
                text=text,
                ids=t.encode(text).ids,
            )


def token(content, **flags):
    plain = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=False)
    return dict(content=content) | plain | flags


BASE = dict(tokenizer_class="BertTokenizer", do_lower_case=True)
HASHTAG = {"#hashtag": 30522}
# name, whether there is a tokenizer.json without the token, other files
FOLDERS = [
    ("added_tokens.json", False, {"tokenizer_config.json": BASE, "added_tokens.json": HASHTAG}),
    ("added_tokens.json next to tokenizer.json", True, {"added_tokens.json": HASHTAG}),
    (
        "added_tokens_decoder",
        False,
        {
            "tokenizer_config.json": BASE
            | {"added_tokens_decoder": {"30522": token("#HashTag", rstrip=True)}}
        },
    ),
    (
        "added_tokens_decoder, normalized",
        True,
        {
            "tokenizer_config.json": BASE
            | {"added_tokens_decoder": {"30522": token("#HashTag", normalized=True)}}
        },
    ),
    (
        "additional_special_tokens",
        False,
        {"tokenizer_config.json": BASE | {"additional_special_tokens": ["#hashtag", "the"]}},
    ),
    (
        "extra_special_tokens, a list",
        False,
        {"tokenizer_config.json": BASE | {"extra_special_tokens": ["#hashtag"]}},
    ),
    (
        "extra_special_tokens, a map",
        False,
        {"tokenizer_config.json": BASE | {"extra_special_tokens": {"tag_token": "#hashtag"}}},
    ),
    (
        "special and added",
        False,
        {
            "tokenizer_config.json": BASE | {"additional_special_tokens": ["#hashtag"]},
            "added_tokens.json": HASHTAG | {"Other": 30523},
        },
    ),
]
PAIRS = [
    ("a #hashtag b", "x"),
    ("a #HASHTAG b", "#HashTag  the The #hashtags other OTHER"),
    ("x#hashtag#hashtag", "[MASK] of"),
]


def folder_rows():
    for name, json_file, files in FOLDERS:
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            (folder / "vocab.txt").write_bytes((DATA / "vocab.txt").read_bytes())
            if json_file:
                BertTokenizer.from_pretrained(folder).backend_tokenizer.save(
                    str(folder / "tokenizer.json")
                )
            for file, content in files.items():
                (folder / file).write_text(json.dumps(content))
            t = BertTokenizer.from_pretrained(folder)
            pairs = [dict(texts=pair, ids=t(*pair)["input_ids"]) for pair in PAIRS]
            yield dict(name=name, tokenizer_json=json_file, files=files, pairs=pairs)


with (DATA / "normalized.jsonl").open("w", encoding="utf-8") as out:
    for row in token_rows():
        print(json.dumps(row, separators=(",", ":")), file=out)
(DATA / "folders.json").write_text(json.dumps(list(folder_rows()), indent=1) + "\n")
