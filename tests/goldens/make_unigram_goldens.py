#!/usr/bin/env python3
"""Writes tests/data/tokenizer/unigram/: a small Unigram as XLM-RoBERTa has it, and token ids.

    pip install -r tests/peers/requirements.txt && python tests/goldens/make_unigram_goldens.py

tokenizer.json has the parts that transformers writes for XLM-RoBERTa. sentencepiece trained its
pieces on udhr_multilingual.txt and compiled its normaliser from a few hundred rules, in the style
of nmt_nfkc: compositions, compatibility characters, white space and control characters.

cases.json is [{"changes": {POINTER: VALUE}, "cases": [{"text", "pair", "max_length", "ids"}]}]: the
ids of `tokenizers` with the file as it is, and with other parts that transformers has written. The
rare character is in no rule and no piece.
"""

import base64
import copy
import json
import tempfile
import unicodedata
from pathlib import Path

import sentencepiece
from tokenizers import Tokenizer

DATA = Path(__file__).parents[1] / "data/tokenizer"
OUT = DATA / "unigram"
PIECES = 900
MARK = "\u2581"


def rules():
    """Lines of a rule file: code points, a tab, code points."""
    table = {}
    for c in map(chr, [*range(0xA0, 0x180), *range(0x1E00, 0x1E20), *range(0x400, 0x460)]):
        parts = unicodedata.normalize("NFD", c)
        if len(parts) > 1:
            table[parts] = c
    compatible = [*range(0xA0, 0x100), *range(0xFB00, 0xFB07), *range(0xFF01, 0xFF5F)]
    for c in map(chr, [*compatible, 0x3F3, 0x2126, 0x33A5, 0x3392, 0xFDFA, 0x2474]):
        other = unicodedata.normalize("NFKC", c)
        if other != c:
            table[c] = other
    for c in (9, 10, 12, 13, 0x1680, *range(0x2000, 0x200C), 0x2028, 0x2029, 0x3000, 0xFEFF):
        table[chr(c)] = " "
    for c in (*range(1, 9), 11, *range(14, 32), 127, 0x8F, 0x9F, 0xFFFD):
        table[chr(c)] = ""
    table["\u0600x"] = "y"  # a cluster that begins with a prepended mark
    points = lambda text: " ".join(f"{ord(c):X}" for c in text)
    return "".join(f"{points(a)}\t{points(b)}\n" for a, b in sorted(table.items()))


def fields(message):
    """Numbers and values of a protobuf message's fields."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            size = {1: 8, 5: 4}.get(key & 7) or varint()
            yield key >> 3, message[at : at + size]
            at += size


def charsmap(model):
    """The compiled normaliser of a SentencePiece model."""
    (normalizer,) = [value for number, value in fields(model) if number == 3]
    return dict(fields(normalizer))[2]


def train(folder, **options):
    """A SentencePiece model, trained on the multilingual texts."""
    prefix = str(Path(folder) / "model")
    sentencepiece.SentencePieceTrainer.train(
        input=str(DATA / "udhr_multilingual.txt"),
        model_prefix=prefix,
        num_threads=1,
        minloglevel=2,
        **options,
    )
    return Path(prefix + ".model").read_bytes()


def special(token, type_id=0):
    return {"SpecialToken": {"id": token, "type_id": type_id}}


def sequence(name, type_id=0):
    return {"Sequence": {"id": name, "type_id": type_id}}


def added(number, content, lstrip=False):
    return dict(
        id=number,
        content=content,
        single_word=False,
        lstrip=lstrip,
        rstrip=False,
        normalized=False,
        special=True,
    )


def tokenizer_json(pieces, table):
    """The file as transformers' XLMRobertaConverter wrote it first. `pieces` are SentencePiece's,
    with their scores and without its own three special ones."""
    names = ["<s>", "<pad>", "</s>", "<unk>"]
    vocab = [[name, 0.0] for name in names] + pieces + [["<mask>", 0.0]]
    cls, sep = special("<s>"), special("</s>")
    return dict(
        version="1.0",
        truncation=None,
        padding=None,
        added_tokens=[added(i, name) for i, name in enumerate(names)]
        + [added(len(vocab) - 1, "<mask>", lstrip=True)],
        normalizer=dict(type="Precompiled", precompiled_charsmap=base64.b64encode(table).decode()),
        pre_tokenizer=dict(
            type="Sequence",
            pretokenizers=[
                dict(type="WhitespaceSplit"),
                dict(type="Metaspace", replacement=MARK, str_rep=MARK, add_prefix_space=True),
            ],
        ),
        post_processor=dict(
            type="TemplateProcessing",
            single=[cls, sequence("A"), sep],
            pair=[cls, sequence("A"), sep, sep, sequence("B"), sep],
            special_tokens={
                name: dict(id=name, ids=[names.index(name)], tokens=[name])
                for name in ("<s>", "</s>")
            },
        ),
        decoder=dict(type="Metaspace", replacement=MARK, str_rep=MARK, add_prefix_space=True),
        model=dict(type="Unigram", unk_id=3, vocab=vocab),
    )


def variants(base):
    """Changes of the file, by JSON pointer."""
    table = base["normalizer"]
    strip = dict(type="Strip", strip_left=False, strip_right=True)
    replace = lambda by: dict(type="Replace", pattern={"Regex": " {2,}"}, content=by)
    normalizers = lambda *parts: dict(type="Sequence", normalizers=list(parts))
    metaspace = dict(type="Metaspace", replacement=MARK, prepend_scheme="always", split=True)
    split = dict(type="Sequence", pretokenizers=[dict(type="WhitespaceSplit"), metaspace])
    tokens = copy.deepcopy(base["added_tokens"])
    tokens[-1]["normalized"] = True
    tokens += [
        added(len(base["model"]["vocab"]), "ﬁne Tag") | dict(normalized=True, special=False),
        added(len(base["model"]["vocab"]) + 1, "raw") | dict(rstrip=True, single_word=True),
    ]
    processor = dict(
        type="RobertaProcessing",
        sep=["</s>", 2],
        cls=["<s>", 0],
        trim_offsets=True,
        add_prefix_space=True,
    )
    return [
        {},
        {"/pre_tokenizer": metaspace},
        {"/pre_tokenizer": metaspace, "/normalizer": normalizers(table, replace(" "))},
        {"/pre_tokenizer": metaspace, "/normalizer": normalizers(table, strip, replace(MARK))},
        {"/pre_tokenizer": split, "/normalizer": normalizers(table, replace(MARK))},
        {"/pre_tokenizer": metaspace, "/normalizer": None, "/post_processor": processor},
        {
            "/pre_tokenizer": metaspace,
            "/normalizer": normalizers(dict(strip, strip_left=True), replace(" ")),
        },
        {"/added_tokens": tokens},
        {
            "/added_tokens": tokens,
            "/pre_tokenizer": metaspace,
            "/normalizer": normalizers(table, strip, replace(MARK)),
        },
    ]


RARE = "\u16a0"
TEXTS = [
    "",
    " ",
    "  ",
    "\t\n ",
    MARK,
    MARK * 3,
    f" {MARK} a {MARK}b {MARK}{MARK}c{MARK} ",
    "All human beings are born free and equal in dignity and rights.",
    "  All   human  beings  ",
    "Todos los seres humanos nacen libres e iguales en dignidad y derechos.",
    "人人生而自由,在尊严和权利上一律平等。",
    "يولد جميع الناس أحرارًا متساوين",
    "सभी मनुष्यों को गौरव और अधिकारों के मामले में",
    "모든 인간은 태어날 때부터 자유로우며",
    "すべての人間は、生まれながらにして自由であり",
    "cafe\u0301 nai\u0308ve \u0418\u0306 \u0438\u0306 A\u030aB",
    "\ufb01ne \ufb01\u0301ne \ufb01\u0301\u0301ne \ufb03x",
    "a\r\nb\rc\nd\x0be\x00f\x00",
    "\u0600x\u0600 \u0600\u0301x \u0600x\u0301",
    "\x07\x07 bell\x07s \x7f",
    f"{RARE}{RARE} a{RARE}b{RARE} {RARE}",
    f"<unk>{RARE}<unk>",
    "half\uff21\uff22\uff23 \uff5e\u3000full\u2003space\u200bzero",
    "\u2474 \ufdfa \u33a5 \u2126 ½ º",
    "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f466 \U0001f1e9\U0001f1ea 1\ufe0f\u20e3",
    "e\u0301\u0302\u0303\u0304 \u0915\u094d\u0937 \u1100\u1161\u11a8",
    "a <mask> b  <mask>c<mask>",
    "x<s>y</s>z <pad> <pad>",
    "fine Tag \ufb01ne Tag FINE raw rawx raw  raw",
    "x" * 70,
    "freedom" * 30,
    f"and{RARE}" * 20 + "\u3000" * 5 + "rights " * 40,
    "\u00a0\u1680\u2028a\u2029\u205f\u202fb\x85c\u180ed",
]
PAIRS = [
    ("who is born free", TEXTS[7]),
    ("", ""),
    ("rights", ""),
    ("  human\u3000beings ", "人人生而自由, cafe\u0301" * 9),
    ("freedom of thought " * 20, "everyone"),
    ("freedom of thought " * 20, "everyone has the right " * 30),
]


def changed(base, changes):
    file = copy.deepcopy(base)
    for pointer, value in changes.items():
        file[pointer[1:]] = value
    return file


def cases(file):
    tokenizer = Tokenizer.from_str(json.dumps(file))
    for text, pair, length in [(text, None, 64) for text in TEXTS] + [
        (*texts, length) for texts in PAIRS for length in (7, 24, 64)
    ]:
        tokenizer.enable_truncation(length, strategy="longest_first")
        ids = tokenizer.encode(text, pair).ids
        yield dict(text=text, pair=pair, max_length=length, ids=ids)


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rules.tsv"
        path.write_text(rules())
        model = train(
            folder, vocab_size=PIECES, character_coverage=0.99, normalization_rule_tsv=str(path)
        )
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    numbers = range(3, processor.get_piece_size())
    pieces = [[processor.id_to_piece(i), processor.get_score(i)] for i in numbers]
    base = tokenizer_json(pieces, charsmap(model))
    assert not any(RARE in piece for piece, _ in pieces)
    OUT.mkdir(exist_ok=True)
    text = json.dumps(base, ensure_ascii=False, separators=(",", ":"))
    (OUT / "tokenizer.json").write_text(text.replace("],[", "],\n[") + "\n")
    groups = []
    for changes in variants(base):
        lines = ",\n".join("  " + json.dumps(case) for case in cases(changed(base, changes)))
        # The table is the file's own.
        text = json.dumps(changes).replace(json.dumps(base["normalizer"]), '"TABLE"')
        groups.append(f' {{"changes": {text}, "cases": [\n{lines}\n ]}}')
    (OUT / "cases.json").write_text("[\n" + ",\n".join(groups) + "\n]\n")
    print(f"{len(pieces)} pieces, a normaliser of {len(charsmap(model))} bytes")


if __name__ == "__main__":
    main()
