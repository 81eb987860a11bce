#!/usr/bin/env python3
"""Writes tests/data/tokenizer: hard cases with the ids of the Hugging Face `tokenizers` package.

    pip install tokenizers==0.23.3
    python tests/goldens/make_tokenizer_goldens.py [--data ../shared/data]

`vocab.txt` is that of bert-base-uncased, `multilingual.txt` the first 12,000 lines of that of
bert-base-multilingual-uncased (both by Google, Apache-2.0). `letters.txt` has every character of
the cases, so that no difference in normalisation hides in an unknown token. In `cases.jsonl`,
`steps` is the first letters of the enabled steps of the normaliser. `udhr_*.txt`, for the
benchmark, are the Universal Declaration of Human Rights in English, and its beginnings in twenty
languages.
"""

import argparse
import gzip
import itertools
import json
import pathlib
import random

from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LANGUAGES = """deu_1996 fra spa rus ell_monotonic arb heb hin ben tam tha kat amh kor jpn cmn_hans
vie tur pol swh""".split()
STEPS = ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")

HARD = [
    "",
    " \t\r\n ",
    "UNwantéd, running! Don't $5.00 (a+b)=c_d^e~f`g|h{i}j",
    "a\0b \0 \ufffd a\ufffdb",
    "tab\tvertical\vfeed\fnext\x85line\u2028separator\u2029end",
    "\x01\x1f\x7f\x80\x9fcontrol\u00adsoft\u200bzero\u200djoin\ufeffbom\u2060\u202eright",
    "private \ue000a \U000f0000b \U0010fffdc unassigned \u0378d \ufdd0e \uffff",
    "non\u00a0breaking\u2003em\u3000ideographic\u1680ogham\u180emongolian\u205f",
    "ΑΣ ΑΣ ΣΑΣ ΌΣΟΣ ς",
    "İstanbul I\u0307 ıI ŞİİR",
    "ẞ ß Ǆ ǅ ǆ Ω K Å \u2126 \u212a \u212b",
    "ﬁ ﬀ ŉ ǰ ΐ և ẖ",
    "Ⅷ ⓐ Ⓐ 𐐀 𐐨 𞤀 Ა ა Ꭰ ꭰ Ᏸ",
    "e\u0301 é \u0301 \u0301\u0301a a\u0323\u0307 a\u0307\u0323 q\u0307\u0323",
    # marks that accent stripping keeps, out of order, with dropped starters between
    "a\u302e\u0334\U0001d165 \U0001d166\u302e\u302f \u302e\U0001d16d\u034f\u302e "
    "\U0001d15e\u302e\U0001d161\u302e",
    "\u1bab\u1b44\u08d4\u1bab \U0001e000\U0001e01b\u1b44 \U0001e94a\U0001e944 "
    "\U000111c0\u0301\u1b44 x\U0001d165\u0c48\u1b44",
    "\u0344 \u0340\u0341 \u0f73\u0f75\u0f81 \u0c48 \u0b48 \u0d4a \u1025\u102e",
    "한국어 각 가 힣 ᄒ\u1161\u11ab \ua960\ud7b0",
    "中文测试 漢字かな交じり文 ﾊﾝｶｸ が か\u3099 㐀㐁 𠀀 豈 丽 𫠠 𫢸 〇 々",
    "हिन्दी में वर्तनी ক্ষ ত্ৰ தமிழ் ไทยน้ำ ພາສາລາວ ខ្មែរ မြန်မာ བོད་ཡིག",
    "العَرَبِيَّة شُكْرًا لا ﷲ ﷺ עִבְרִית שָׁלוֹם",
    "٠١٢ ۴۵۶ १२३ ½ ² ₂ № ™ ℃",
    "؟ ، ؛ 。 、 「」 ¿ ¡ — – … ‽ ⸘ ՞ ։ ׀ ؉ ܀ ॥ ๏ ༄ ၊ ჻ ፠ ᙮ ᚛ ។ ᠀",
    "≠ ≮ \u037e \u0387 \u1fef \u1ffd \u2000\u2001 \u2260a",
    "😀👍🏽👨‍👩‍👧🇩🇪 ☃\ufe0f ©®",
    "[CLS] a [SEP] b [MASK][PAD] [UNK] [cls] [MASK [[MASK]] a[SEP]b",
    "##ing # # ## # a##b ＃＃",
    "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis "
    "llanfairpwllgwyngyll",
    "http://example.com/a?b=c&d=%20#e x@y.org 192.168.0.1 C++ C# 3.14e-10 AT&T it's o'clock",
    "naïve café résumé Ångström Zürich façade Škoda Łódź Ðað Þór œuvre Ĳ",
]

LONG = [  # around 100 characters, before and after normalisation
    "a" * 100 + " " + "a" * 101 + " " + "é" * 100 + " " + "é" * 101 + " " + "e\u0301" * 101,
    "가" * 50 + " " + "가" * 51 + " " + "각" * 33 + " " + "각" * 34,
]

ADDED = [  # tokens with their flags, and texts for them
    (
        [
            ("[MASK]", dict(lstrip=True)),
            ("[SEP]", dict(rstrip=True)),
            ("[X]", dict(single_word=True, special=False)),
        ],
        [
            "a \t\u3000[MASK] b",
            "[SEP]  \n c [SEP]",
            "[SEP] [MASK]  [SEP]",
            "a[X] [X]b [X] ,[X], é[X] ٣[X] \u0301[X] _[X] ½[X] \u200d[X] 😀[X]",
            "[X][X] a[X][X]",
        ],
    ),
    (
        [
            ("<a>", {}),
            ("<a><b>", dict(special=False)),
            ("<b>", dict(special=False)),
            ("the", dict(special=False)),
            ("é", dict(special=False)),
        ],
        ["<a><b> <a> <b> <a><a><b>", "the theme Theé e\u0301 <A>", "<<a>> thethe"],
    ),
]


def texts(data):
    edge = [
        json.loads(line)["text"]
        for line in (data / "text" / "edge_cases.jsonl").open(encoding="utf-8")
    ]
    chosen = random.Random(7).sample([t for t in edge if 0 < len(t) < 120], 30)
    alphabet = sorted({c for t in HARD for c in t})
    rng = random.Random(11)
    mixed = ["".join(rng.choices(alphabet, k=rng.randint(1, 24))) for _ in range(30)]
    return HARD + chosen + mixed


def tokenizer(vocab, special=SPECIAL, added=(), **steps):
    """A BERT tokenizer with these steps of the normaliser."""
    result = Tokenizer(WordPiece.from_file(str(vocab), unk_token="[UNK]"))
    result.normalizer = normalizers.BertNormalizer(**steps)
    result.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    result.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in special])
    for content, flags in added:
        token = AddedToken(content, normalized=False, **({"special": True} | flags))
        (result.add_special_tokens if token.special else result.add_tokens)([token])
    result.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(s, result.token_to_id(s)) for s in ("[CLS]", "[SEP]")],
    )
    return result


def letters_vocab(cases):
    """All characters that the cases have before and after every combination of steps."""
    seen = set()
    for steps in itertools.product((False, True), repeat=4):
        normalize = normalizers.BertNormalizer(**dict(zip(STEPS, steps))).normalize_str
        seen.update(
            c
            for text in cases
            for c in normalize(text)
            if not c.isspace() and c not in "\x85\x1c\x1d\x1e\x1f"
        )
    return [*SPECIAL, *(p + c for c in sorted(seen) for p in ("", "##"))]


def rows(folder, cases):
    for steps in itertools.product((False, True), repeat=4):
        steps = dict(zip(STEPS, steps))
        letters = tokenizer(folder / "letters.txt", **steps)
        usual = (
            steps["clean_text"]
            and steps["handle_chinese_chars"]
            and steps["strip_accents"] == steps["lowercase"]
        )
        for text in cases if usual else cases[: len(HARD)]:
            yield dict(vocab="letters.txt", steps=steps, text=text, ids=letters.encode(text).ids)
    steps = dict.fromkeys(STEPS, True)
    for name in ("vocab.txt", "multilingual.txt"):
        full = tokenizer(folder / name, **steps)
        for text in cases + LONG:
            yield dict(vocab=name, steps=steps, text=text, ids=full.encode(text).ids)
    full.encode_special_tokens = True
    for text in cases:
        if "[" in text:
            yield dict(vocab=name, steps=steps, as_text=True, text=text, ids=full.encode(text).ids)
    yield from added_rows(folder, steps)
    yield from pair_rows(folder, steps, cases)


def added_rows(folder, steps):
    for (added, cases), as_text in itertools.product(ADDED, (False, True)):
        kept = [s for s in SPECIAL if s not in dict(added)]
        marked = tokenizer(folder / "vocab.txt", kept, added, **steps)
        marked.encode_special_tokens = as_text
        listed = [
            {
                "content": t.content,
                "id": i,
                "single_word": t.single_word,
                "lstrip": t.lstrip,
                "rstrip": t.rstrip,
                "special": t.special,
            }
            for i, t in marked.get_added_tokens_decoder().items()
        ]
        for text in cases:
            yield dict(
                vocab="vocab.txt",
                steps=steps,
                added=listed,
                as_text=as_text,
                text=text,
                ids=marked.encode(text).ids,
            )


def pair_rows(folder, steps, cases):
    full = tokenizer(folder / "vocab.txt", **steps)
    words = "the quick brown fox jumps over a lazy dog and runs away".split()
    for a, b, length in itertools.product(
        (0, 1, 4, 5, 6, 12), (0, 1, 4, 5, 6, 12), (3, 4, 11, 12, 13, 40)
    ):
        full.enable_truncation(length, strategy="longest_first")
        a_text, b_text = " ".join(words[:a]), " ".join(words[12 - b :])
        got = full.encode(a_text, b_text)
        yield dict(
            vocab="vocab.txt",
            steps=steps,
            text=a_text,
            pair=b_text,
            max_length=length,
            ids=got.ids,
            type_ids=got.type_ids,
        )
    for i in range(0, len(cases) - 1, 2):
        full.enable_truncation(24, strategy="longest_first")
        got = full.encode(cases[i], cases[i + 1])
        yield dict(
            vocab="vocab.txt",
            steps=steps,
            text=cases[i],
            pair=cases[i + 1],
            max_length=24,
            ids=got.ids,
            type_ids=got.type_ids,
        )


def write_udhr(data, folder):
    """The benchmark's texts, one paragraph a line."""
    with gzip.open(data / "text" / "udhr.jsonl.gz", "rt", encoding="utf-8") as file:
        paragraphs = [json.loads(line) for line in file]
    english = [p["text"] for p in paragraphs if p["lang"] == "eng"]
    (folder / "udhr_english.txt").write_text("\n".join(english) + "\n", "utf-8")
    many = [p["text"] for p in paragraphs if p["lang"] in LANGUAGES and 1 < p["line"] < 16]
    (folder / "udhr_multilingual.txt").write_text("\n".join(many) + "\n", "utf-8")


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=pathlib.Path, default=root.parent / "shared" / "data")
    data = parser.parse_args().data
    folder = root / "tests" / "data" / "tokenizer"
    folder.mkdir(parents=True, exist_ok=True)
    cases = texts(data)
    english, many = (
        data / "vocab" / f"bert-base-{kind}" / "vocab.txt"
        for kind in ("uncased", "multilingual-uncased")
    )
    (folder / "vocab.txt").write_bytes(english.read_bytes())
    (folder / "multilingual.txt").write_bytes(b"".join(many.read_bytes().splitlines(True)[:12000]))
    (folder / "letters.txt").write_text("\n".join(letters_vocab(cases)) + "\n", "utf-8")
    write_udhr(data, folder)
    with (folder / "cases.jsonl").open("w", encoding="ascii") as file:
        for row in rows(folder, cases):
            row["steps"] = "".join(step[0] for step in STEPS if row["steps"][step])
            file.write(json.dumps(row, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
