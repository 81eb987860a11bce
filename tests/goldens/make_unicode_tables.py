#!/usr/bin/env python3
"""Writes src/tokenizer/tables.rs from the behaviour of the Hugging Face `tokenizers` package.

    pip install tokenizers==0.23.3
    python tests/goldens/make_unicode_tables.py > src/tokenizer/tables.rs

BERT's rules depend on Unicode tables, and the package has old ones. Models were trained with its
ids, so this script observes every property on every code point instead of taking it from a Unicode
version. It stops if a property depends on more than one code point.
"""

import bisect
import unicodedata

from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordPiece

REMOVED, SPACE, CHINESE, PUNCTUATION, MARK, NONSTARTER, DECOMPOSES = (1 << i for i in range(7))
PAGE = 64
HANGUL = range(0xAC00, 0xAC00 + 11172)
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]


def bert(**on):
    """One step of BertNormalizer alone."""
    steps = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return normalizers.BertNormalizer(**(steps | on)).normalize_str


nfd = normalizers.NFD().normalize_str


def combining_class_observer():
    """Finds a mark's class from NFD's reordering with one mark of each known class."""
    known = {}
    for c in range(0x0300, 0x1000):
        if nfd(chr(c)) == chr(c) and unicodedata.combining(chr(c)):
            known.setdefault(unicodedata.combining(chr(c)), chr(c))
    classes = sorted(known)

    def goes_before(s, mark):
        """Whether NFD moves `s` before the mark."""
        return s != mark and nfd("a" + mark + s) == "a" + s + mark

    def observe(s):
        if not goes_before(s, known[classes[-1]]):
            highest = nfd("a" + s + known[1]) == "a" + known[1] + s
            return classes[-1] if highest else 0
        above = next(k for k in classes if goes_before(s, known[k]))
        at = classes.index(above)
        # `s` does not move before its own class: it has the class below, or one in between.
        below = classes[at - 1] if at else 0
        declared = unicodedata.combining(s)
        return declared if below < declared < above else below

    return observe


def observe():
    """Flags, lower-case letters and combining classes."""
    clean, chinese = bert(clean_text=True), bert(handle_chinese_chars=True)
    strip, lower = bert(strip_accents=True), bert(lowercase=True)
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    combining = combining_class_observer()
    flags, stripped, lowered, classes = {}, {}, {}, {}
    for c in CODE_POINTS:
        s, f = chr(c), 0
        cleaned = clean(s)
        pieces = [p for p, _ in split("a" + s + "b")]
        f |= REMOVED * (cleaned == "")
        f |= SPACE * (pieces == ["a", "b"])
        f |= PUNCTUATION * (pieces == ["a", s, "b"])
        f |= CHINESE * (chinese(s) == f" {s} ")
        assert cleaned == ("" if f & REMOVED else " " if f & SPACE else s), hex(c)
        if nfd(s) != s:
            f |= DECOMPOSES
            if c not in HANGUL:
                stripped[c] = strip(s)
                f |= NONSTARTER * all(combining(x) for x in nfd(s))
        else:
            f |= MARK * (strip(s) == "")
            classes[c] = combining(s)
            f |= NONSTARTER * (classes[c] != 0)
        if lower(s) != s:
            lowered[c] = lower(s)
        if f:
            flags[c] = f
    check(flags, stripped, lowered, nfd)
    kept = {c: k for c, k in classes.items() if k and not flags[c] & MARK}
    return flags, lowered, kept


def check(flags, stripped, lowered, nfd):
    """Checks lanerank's shortcuts: results of lower-casing and of Hangul need no second look."""
    for c, s in lowered.items():
        assert all(flags.get(ord(x), 0) & ~(MARK | NONSTARTER | DECOMPOSES) == 0 for x in s), hex(c)
        assert len(s) == 1 or c == 0x130, hex(c)
    for c in HANGUL:
        assert all(flags.get(ord(x), 0) == 0 for x in nfd(chr(c))), hex(c)
    for c, s in stripped.items():
        kept = [x for x in nfd(chr(c)) if not flags.get(ord(x), 0) & MARK]
        assert "".join(kept) == s and len(s) < 4, hex(c)
        # Runs of marks are sorted. A decomposition ends the run before it with its first starter,
        # or has only dropped marks; a dropped starter further on has no run to end.
        starter = [not flags.get(ord(x), 0) & NONSTARTER for x in nfd(chr(c))]
        dropped = [bool(flags.get(ord(x), 0) & MARK) for x in nfd(chr(c))]
        assert starter[0] or (s == "" and flags[c] & NONSTARTER), hex(c)
        for i in range(1, len(starter)):
            assert not (starter[i] and dropped[i]) or starter[i - 1], hex(c)


def word_ranges(flags):
    """Ranges of characters that are part of a word next to an added token with `single_word`."""
    tokenizer = Tokenizer(WordPiece({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.add_tokens([AddedToken("[X]", single_word=True, normalized=False)])
    spaces = Tokenizer(WordPiece({"[UNK]": 0}, unk_token="[UNK]"))
    spaces.add_tokens([AddedToken("[X]", lstrip=True, normalized=False)])
    ranges = []
    for c in CODE_POINTS:
        assert (len(spaces.encode(chr(c) + "[X]").ids) == 1) == bool(flags.get(c, 0) & SPACE), hex(
            c
        )
        if 1 in tokenizer.encode(chr(c) + "[X]").ids:
            continue
        if ranges and ranges[-1][1] == c - 1:
            ranges[-1][1] = c
        else:
            ranges.append([c, c])
    return ranges


def pages(values, last):
    """Two stages: a page number for each PAGE code points up to `last`, and the distinct pages."""
    numbers, first, second = {}, [], []
    for start in range(0, last + 1, PAGE):
        page = tuple(values.get(c, 0) for c in range(start, start + PAGE))
        if page not in numbers:
            numbers[page] = len(numbers)
            second += page
        first.append(numbers[page])
    assert len(numbers) <= 256, len(numbers)
    return first, second


def runs(values):
    """(first value, step, count) runs."""
    out, i = [], 0
    while i < len(values):
        step = values[i + 1] - values[i] if i + 1 < len(values) else 0
        end = i + 1
        while end < len(values) and values[end] - values[end - 1] == step:
            end += 1
        if end - i == 2 and step:
            step, end = 0, i + 1
        out.append((values[i], step, end - i))
        i = end
    return out


def rows(items):
    """Comma-separated items, in lines of at most 100 characters."""
    lines = [""]
    for item in items:
        if len(lines[-1]) + len(item) > 94:
            lines.append("")
        lines[-1] += item + ","
    return "".join(f"    {line}\n" for line in lines)


def table(name, doc, kind, items, keyword="static"):
    items = [str(i).replace(" ", "") for i in items]
    head = f"/// {doc}\n#[rustfmt::skip]\npub {keyword} {name}: [{kind}; {len(items)}] = [\n"
    return f"{head}{rows(items)}];\n"


def two_stages(name, doc, values, kind):
    first, second = pages(values, max(values))
    out = ""
    for suffix, stage, k in (("PAGES", first, "u8"), ("VALUES", second, kind)):
        packed = runs(stage)
        out += table(
            f"{name}_{suffix}_RUNS", f"{doc} ({suffix.lower()}, packed).", "Run", packed, "const"
        )
        out += f"/// {doc} ({suffix.lower()}).\n"
        out += f"pub static {name}_{suffix}: [{k}; {len(stage)}] = "
        out += f"expand_{k}(&{name}_{suffix}_RUNS);\n\n"
    return out


HEADER = """\
//! What the Hugging Face `tokenizers` package, version 0.23.3, does with each code point.
//!
//! Made by `tests/goldens/make_unicode_tables.py`; change that, not this.

use super::tables_expand::{Run, expand_u8, expand_u16};

/// Code points of a page.
pub const PAGE: usize = 64;
/// `clean_text` removes it.
pub const REMOVED: u16 = 1;
/// Separates words.
pub const SPACE: u16 = 2;
/// `handle_chinese_chars` makes a word of it.
pub const CHINESE: u16 = 4;
/// A word of its own.
pub const PUNCTUATION: u16 = 8;
/// `strip_accents` removes it.
pub const MARK: u16 = 16;
/// Its canonical combining class is not 0.
pub const NONSTARTER: u16 = 32;
/// Canonical decomposition changes it.
pub const DECOMPOSES: u16 = 64;
/// Flags from here up are an index into `LOWER_DELTAS`.
pub const LOWER_SHIFT: u32 = 8;

"""


def main():
    flags, lowered, kept = observe()
    del lowered[0x130]  # the only one that becomes two, written out in the program
    deltas = sorted({ord(s) - c for c, s in lowered.items()})
    values = dict(flags)
    for c, s in lowered.items():
        values[c] = values.get(c, 0) | (deltas.index(ord(s) - c) + 1) << 8
    text = HEADER
    text += table("LOWER_DELTAS", "Distances to the lower-case letter.", "i32", [0] + deltas)
    text += table(
        "CLASSES",
        "Combining classes of the marks that `strip_accents` keeps.",
        "(u32, u8)",
        sorted(kept.items()),
    )
    text += table(
        "WORD_RANGES",
        "Parts of words, for added tokens that match whole words only.",
        "(u32, u32)",
        map(tuple, word_ranges(flags)),
    )
    text += "\n" + two_stages("FLAGS", "Flags of each code point", values, "u16")
    print(text, end="")


if __name__ == "__main__":
    main()
