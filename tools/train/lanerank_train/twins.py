"""Passages that look like the answer and are not, made and labelled by rule.

A twin is a passage in which the one thing that the query asks for (a number, a name, a word of a
closed class such as a unit) is exchanged for another of its kind, or a statement is negated. An
exchange works both ways: for the query with the same exchange, the twin is right and the original
is wrong. So no wording is wrong in itself; only the match counts.
"""

import random
import re
from collections import Counter
from dataclasses import dataclass

# Words of a class exclude each other.
CLASSES = [
    words.split()
    for words in (
        "mg g mcg ml kg", "km miles metres feet inches", "pounds kilograms ounces grams",
        "celsius fahrenheit kelvin", "seconds minutes hours days weeks months years",
        "adults children infants teenagers", "men women", "male female", "boys girls",
        "morning evening night", "indoor outdoor", "summer winter spring autumn",
        "north south east west", "northern southern eastern western", "left right",
        "increase decrease", "increases decreases", "increased decreased", "hot cold",
        "before after", "minimum maximum", "first second third fourth last", "cats dogs horses",
        "import export", "windows linux macos android", "python java ruby rust perl javascript",
        "acute chronic", "benign malignant", "upper lower", "enable disable", "install remove",
        "add delete", "input output", "read write", "encrypt decrypt", "public private",
        "domestic international", "federal state local", "fixed variable", "internal external",
        "dominant recessive", "positive negative", "systolic diastolic", "arteries veins",
        "red green blue yellow black white", "monday tuesday wednesday thursday friday sunday",
        "january february march april june july august september october november december",
        "father mother brother sister son daughter", "king queen prince princess",
        "oldest youngest", "largest smallest", "highest lowest", "longest shortest", "more less",
        "single married", "buyer seller", "lender borrower", "employer employee", "with without",
    )
]  # fmt: skip
CLASS_OF = {word: words for words in CLASSES for word in words}

NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*(?![\w]|[.,]\d)")
WORD = re.compile(r"[A-Za-z][A-Za-z'-]+")
VERB = re.compile(r"\b(is|are|was|were|can|should|will|must|may|has|have|does|do)\b(?! not\b)")
RARE = 0.002  # share of a source's passages that a term may occur in
NEGATED_GAP, EXCHANGED_GAP = 2.5, 6.0


@dataclass
class Twin:
    """`query` is the query with the same exchange, None for a negation."""

    passage: str
    query: str | None
    gap: float  # how far below the right passage's score it belongs, in logits


class Source:
    """What the exchanges of one source draw from: its names and its rare terms."""

    def __init__(self, pairs: list[tuple[str, str]]):
        self.found, inner, every = Counter(), Counter(), Counter()
        for _, passage in pairs:
            self.found.update({word.lower() for word in WORD.findall(passage)})
            words = passage.split()
            for last, word in zip(words, words[1:]):
                core = word.strip(",.;:()'\"")
                if core.isalpha() and len(core) >= 3:
                    every[core.lower()] += 1
                    inner[core.lower()] += core[0].isupper() and last[-1] not in ".:!?"
        self.names = [w for w, n in inner.items() if n >= 2 and n > 0.9 * every[w]]
        self.is_name = set(self.names)
        self.most = max(2, RARE * len(pairs))
        asked = Counter(
            word.lower() for query, _ in pairs for word in WORD.findall(query) if len(word) >= 5
        )
        self.terms = [w for w in asked if 1 <= self.found[w] <= self.most and w not in self.is_name]

    def twin(self, query: str, passage: str, rng: random.Random) -> Twin | None:
        """One exchange at random of those that fit, or a negation."""
        present = {word.lower() for word in WORD.findall(passage)}
        both = [word for word in WORD.findall(query) if word.lower() in present]
        ways = []
        numbers = [n for n in NUMBER.findall(query) if n in NUMBER.findall(passage)]
        if numbers:
            number = rng.choice(numbers)
            ways += [(number, other_number(number, rng))] * 3
        for word in both:
            key = word.lower()
            if key in CLASS_OF:
                ways += [(word, rng.choice([o for o in CLASS_OF[key] if o != key]))] * 2
            elif key in self.is_name and len(self.names) > 20:
                ways.append((word, rng.choice(self.names)))
            elif len(key) >= 5 and self.found[key] <= self.most and len(self.terms) > 20:
                ways.append((word, rng.choice(self.terms)))
        ways = [(old, new) for old, new in ways if new.lower() != old.lower()]
        if ways and rng.random() < 0.85:
            old, new = rng.choice(ways)
            changed, asked_for = exchange(passage, old, new), exchange(query, old, new)
            if changed != passage and asked_for != query:
                return Twin(changed, asked_for, EXCHANGED_GAP)
        changed = negated(passage, {word.lower() for word in both if len(word) >= 4})
        return Twin(changed, None, NEGATED_GAP) if changed else None


def exchange(text: str, old: str, new: str) -> str:
    """Every occurrence of a word, with the case of its first letter kept."""

    def other(found):
        return new.capitalize() if found[0][0].isupper() else new

    return re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", other, text, flags=re.IGNORECASE)


def other_number(number: str, rng: random.Random) -> str:
    """A number of the same form: a year nearby, another last part of a version, other digits."""
    if re.fullmatch(r"1[0-9]\d\d|20\d\d", number):
        return str(int(number) + rng.choice([d for d in range(-12, 13) if d]))
    head, digits = re.fullmatch(r"(.*?)(\d+)", number).groups()
    lowest = 10 ** (len(digits) - 1) if len(digits) > 1 else 0
    return head + str(rng.randrange(lowest, 10 ** len(digits)))


def negated(passage: str, words: set[str]) -> str | None:
    """Says the opposite in the sentence that has most of `words`: "not" comes or goes."""
    sentences = re.split(r"(?<=[.!?])\s+", passage)
    counts = [len(words & {w.lower() for w in WORD.findall(s)}) for s in sentences]
    best = max(range(len(sentences)), key=counts.__getitem__)
    if counts[best] < 2:
        return None
    sentence = sentences[best]
    if re.search(r" not\b", sentence):
        changed = re.sub(r" not\b", "", sentence, count=1)
    else:
        changed = VERB.sub(r"\1 not", sentence, count=1)
    if changed == sentence:
        return None
    return " ".join([*sentences[:best], changed, *sentences[best + 1 :]])


def decoy(query: str, other: str, rng: random.Random) -> str | None:
    """Another passage with the query's words strewn in: it repeats them and answers nothing."""
    words = [w for w in WORD.findall(query) if len(w) >= 4]
    target = other.split()
    if len(words) < 2 or len(target) < 15:
        return None
    picked = rng.sample(words, min(len(words), len(target) // 6, rng.randint(2, 6)))
    for word, place in zip(picked, rng.sample(range(len(target)), len(picked)), strict=True):
        if rng.random() < 0.5:
            target[place] = word.lower()
        else:
            target.insert(place, word.lower())
    return " ".join(target)
