"""The part of read_lane.py that reads a Unigram's sections."""

import math


def need(ok, what):
    if not ok:
        raise ValueError(what)


def sections(model, n, last):
    """Checks the sections of n pieces, of which `last` has those that are found and their ids;
    returns the scores and the normaliser."""
    s = model.cursor("tokenizer.scores")
    *scores, unknown = s.numbers(f"{n + 1}d")
    need(all(map(math.isfinite, scores)) and unknown == min(scores) - 10, "tokenizer.scores")
    s = model.cursor("tokenizer.trie")
    need(trie(s.numbers(f"{len(s.data) // 8}Q")) == last, "tokenizer.trie: other pieces")
    s = model.cursor("tokenizer.charsmap")
    charsmap = s.bytes(len(s.data))
    if charsmap:
        length = int.from_bytes(charsmap[:4], "little")
        need(0 < length <= len(charsmap) - 4 and length % 4 == 0, "tokenizer.charsmap: the trie")
        texts = charsmap[4 + length :].decode().split("\0")
        need(all(len(text.encode()) <= 128 for text in texts), "tokenizer.charsmap: a text")
    return scores, charsmap


def trie(units):
    """The keys of a double-array trie, and their ids."""
    need(units and units[0] % 512 == 256 and len(units) % 256 == 0, "tokenizer.trie: root, length")
    bases = [base for base in (u >> 9 & 2**24 - 1 for u in units) if base]
    need(len(set(bases)) == len(bases), "tokenizer.trie: a base twice")
    found, todo = {}, [(0, b"")]
    while todo:
        at, key = todo.pop()
        base, piece = units[at] >> 9 & 2**24 - 1, units[at] >> 33
        if piece:
            found[key] = piece - 1
        for b in range(256 if base and len(key) < 255 else 0):
            if base ^ b < len(units) and units[base ^ b] % 512 == 256 + b:
                todo.append((base ^ b, key + bytes([b])))
    return found


def tokenizer(model, flags):
    """The tokenizer without added tokens and frame."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    split, left, right, one, mark = flags
    pieces = [p.decode() for p in model.pieces]
    t = Tokenizer(models.Unigram(list(zip(pieces, model.scores)), model.ids[0]))
    chain = [normalizers.Precompiled(model.charsmap)] if model.charsmap else []
    chain.append(normalizers.Strip(left, right))
    if one or mark:
        chain.append(normalizers.Replace(Regex(" {2,}"), " " if one else "\u2581"))
    t.normalizer = normalizers.Sequence(chain)
    words = [pre_tokenizers.WhitespaceSplit()] if split else []
    t.pre_tokenizer = pre_tokenizers.Sequence([*words, pre_tokenizers.Metaspace()])
    return t
