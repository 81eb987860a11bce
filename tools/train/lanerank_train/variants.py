"""Other ways to ask the same: misspelt, with synonyms, as people write in a chat.

The teachers score a variant as the query that it was made from.
"""

import random
import re

NEIGHBOURS = {
    letter: set(near)
    for letter, near in {
        "q": "wa", "w": "qeas", "e": "wrsd", "r": "etdf", "t": "ryfg", "y": "tugh", "u": "yihj",
        "i": "uojk", "o": "ipkl", "p": "ol", "a": "qwsz", "s": "awedxz", "d": "serfcx",
        "f": "drtgvc", "g": "ftyhbv", "h": "gyujnb", "j": "huiknm", "k": "jiolm", "l": "kop",
        "z": "asx", "x": "zsdc", "c": "xdfv", "v": "cfgb", "b": "vghn", "n": "bhjm", "m": "njk",
    }.items()
}  # fmt: skip
BEFORE = (
    "hey", "hi,", "pls", "please tell me", "can you tell me", "do you know", "quick question:",
    "i need to know", "i want to know", "just wondering,", "help,", "so", "ok so", "looking for",
    "where can i find", "anyone know", "could someone explain", "tell me about", "search for",
)  # fmt: skip
AFTER = ("pls", "please", "thanks", "thx", "?", "??", "exactly", "help", "any idea", "explained")
QUESTION = re.compile(
    r"^(what|which|who|whom|whose) (is|are|was|were) (the |a |an )?|^(how|what|where|when|why) "
    r"(do|does|did|can|could|should|is|are|was) (i |you |we |one |the |a )?",
    re.IGNORECASE,
)


def variant(query: str, synonyms: dict[str, list[str]], rng: random.Random) -> str | None:
    """One of the ways at random, or None if it does not fit the query."""
    way = rng.choice((misspelt, misspelt, chatty, lambda q, r: reworded(q, synonyms, r)))
    made = way(query, rng)
    return made if made and made.lower() != query.lower() else None


def misspelt(query: str, rng: random.Random) -> str | None:
    """One slip in one or two words of four letters and more."""
    words = query.split()
    long = [i for i, word in enumerate(words) if len(word) >= 4 and word.isalpha()]
    if not long:
        return None
    for place in rng.sample(long, min(len(long), 1 + (len(long) > 4 and rng.random() < 0.3))):
        words[place] = slip(words[place], rng)
    return " ".join(words)


def slip(word: str, rng: random.Random) -> str:
    """A letter dropped, doubled, exchanged with the next or with a neighbour on the keyboard."""
    at = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(4)
    if kind == 0:
        return word[:at] + word[at + 1 :]
    if kind == 1:
        return word[:at] + word[at] + word[at:]
    if kind == 2:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    near = sorted(NEIGHBOURS.get(word[at].lower(), ""))
    return word[:at] + rng.choice(near) + word[at + 1 :] if near else word


def chatty(query: str, rng: random.Random) -> str:
    """Lower case, without the question's frame or with an opening or a close of a chat."""
    text = query.lower().rstrip("?.! ")
    if rng.random() < 0.4:
        text = QUESTION.sub("", text) or text
    if rng.random() < 0.6:
        text = f"{rng.choice(BEFORE)} {text}"
    if rng.random() < 0.4:
        text = f"{text} {rng.choice(AFTER)}"
    return text


def reworded(query: str, synonyms: dict[str, list[str]], rng: random.Random) -> str | None:
    """Up to two words exchanged for synonyms."""
    words = query.split()
    known = [i for i, word in enumerate(words) if len(word) >= 4 and word.lower() in synonyms]
    if not known:
        return None
    for place in rng.sample(known, min(len(known), 2)):
        words[place] = rng.choice(synonyms[words[place].lower()])
    return " ".join(words)
