"""Rows: what all sources share."""

import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

LONGEST = 2000  # characters of a passage
SECTION = 1500  # characters of a passage that is part of a section
SHORTEST = 20  # words of a part of a section
ENOUGH = 140  # words: a part of a section ends with the paragraph that reaches this
MOST = 220  # words of a part of a section

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
    sections: Iterable[Section], query: Callable[[str, str], str]
) -> Iterator[Row]:
    """Sections as rows: a query and the first part, then the other parts without a query.

    `query` makes it of the document's title and a heading under it. A passage without a query
    begins with it.
    """
    rows = []
    for title, heading, paragraphs in sections:
        asked = heading if heading == title else query(title, heading)
        for number, part in enumerate(parts(paragraphs)):
            if len(part.split()) >= SHORTEST:
                rows.append(("", f"{asked}: {part}"[:SECTION]) if number else (asked, part))
    return unique(rows)


def sentence(text: str) -> str:
    """A paragraph or an entry of a list as a sentence."""
    return text if text[-1] in ".!?:;,…\"'”’)" else f"{text}."


def parts(paragraphs: list[str]) -> Iterator[str]:
    """Paragraphs packed into passages of ENOUGH to MOST words; the last may be shorter."""
    current: list[str] = []
    for paragraph in paragraphs:
        for words in pieces(paragraph.split()):
            if current and len(current) + len(words) > MOST:
                yield " ".join(current)[:SECTION]
                current = []
            current += words
            if len(current) >= ENOUGH:
                yield " ".join(current)[:SECTION]
                current = []
    if current:
        yield " ".join(current)[:SECTION]


def pieces(words: list[str]) -> Iterator[list[str]]:
    """A paragraph, in parts of whole sentences if it has more than MOST words."""
    while len(words) > MOST:
        ends = [i for i in range(1, MOST + 1) if words[i - 1][-1] in ".!?"]
        end = ends[-1] if ends else MOST
        yield words[:end]
        words = words[end:]
    yield words


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
