"""Rows: what all sources share."""

import gzip
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

LONGEST = 2000  # characters of a passage
SECTION = 1500  # characters of a passage that is part of a section
SHORTEST = 20  # words of a part of a section
ENOUGH = 800  # a part of a section ends with the paragraph that reaches this

Row = tuple[str, str]
# The title of a document, the heading, and the paragraphs under it up to the next heading.
Section = tuple[str, str, list[str]]


def squeeze(text: str) -> str:
    return " ".join(text.split())


def unique(rows: Iterable[Row]) -> Iterator[Row]:
    seen = set()
    for row in rows:
        if row not in seen:
            seen.add(row)
            yield row


def pairs(rows: Iterable[Row], shortest: int = 0) -> Iterator[Row]:
    """Rows with their white space squeezed and their passages cut, without the repeated and those
    whose passage is shorter than `shortest` characters."""
    tidy = ((squeeze(query), squeeze(passage)[:LONGEST]) for query, passage in rows)
    return unique(r for r in tidy if r[0] and r[1] and len(r[1]) >= shortest)


def from_sections(
    sections: Iterable[Section], join: Callable[[str, str], str], most_words: int
) -> Iterator[Row]:
    """Sections as rows: the heading and the first part, then the other parts without a query.

    A heading of up to `most_words` words is joined with the document's title, if that differs. A
    passage without a query begins with the heading.
    """
    rows = []
    for title, heading, paragraphs in sections:
        query = heading
        if len(heading.split()) <= most_words and heading != title:
            query = join(title, heading)
        for number, part in enumerate(parts(paragraphs)):
            if len(part.split()) >= SHORTEST:
                rows.append(("", f"{query}: {part}"[:SECTION]) if number else (query, part))
    return unique(rows)


def sentence(text: str) -> str:
    """A paragraph or an entry of a list as a sentence."""
    return text if text[-1] in ".!?:;,…\"'”’)" else f"{text}."


def parts(paragraphs: list[str]) -> Iterator[str]:
    """Paragraphs packed into passages of ENOUGH to SECTION characters; the last may be shorter."""
    current = ""
    for paragraph in paragraphs:
        for piece in pieces(paragraph):
            if current and len(current) + 1 + len(piece) > SECTION:
                yield current
                current = ""
            current = f"{current} {piece}".strip()
            if len(current) >= ENOUGH:
                yield current
                current = ""
    if current:
        yield current


def pieces(paragraph: str) -> Iterator[str]:
    """A paragraph that is too long for a passage, by sentences."""
    if len(paragraph) <= SECTION:
        yield paragraph
        return
    current = ""
    for sentence in re.split(r"(?<=[.!?]) ", paragraph):
        if current and len(current) + 1 + len(sentence) > SECTION:
            yield current
            current = ""
        current = f"{current} {sentence}".strip()[:SECTION]
    yield current


def write(rows: Iterable[Row], file: Path) -> int:
    """Writes NAME.jsonl.gz whole or not at all; returns the number of rows."""
    partial = file.with_suffix(".partial")
    count = 0
    with gzip.open(partial, "wt", encoding="utf-8") as out:
        for query, passage in rows:
            line = {"query": query, "positive": passage}
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
            count += 1
    partial.replace(file)
    return count


def read(file: Path) -> list[Row]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [(row["query"], row["positive"]) for row in map(json.loads, lines)]
