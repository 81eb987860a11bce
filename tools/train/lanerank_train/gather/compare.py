"""How close gathered rows come to another file of the same source."""

import unicodedata

from .rows import Row


def normal(text: str) -> str:
    """NFKC, lower case, words without punctuation."""
    text = unicodedata.normalize("NFKC", text).lower()
    return " ".join("".join(c if c.isalnum() else " " for c in text).split())


def shares(ours: list[Row], theirs: list[Row]) -> dict[str, float]:
    """Shares of one side's distinct rows, and of its distinct passages, that the other has."""
    found = {}
    for what, key in (
        ("rows", lambda r: (normal(r[0]), normal(r[1]))),
        ("passages", lambda r: normal(r[1])),
    ):
        a, b = {key(r) for r in ours}, {key(r) for r in theirs}
        found[f"{what} of ours"] = len(a & b) / max(1, len(a))
        found[f"{what} of theirs"] = len(a & b) / max(1, len(b))
    return found


def report(ours: list[Row], theirs: list[Row]) -> str:
    text = ", ".join(f"{what} {share:.3f}" for what, share in shares(ours, theirs).items())
    return f"{len(ours)} rows, {len(theirs)} to compare; found on the other side: {text}"
