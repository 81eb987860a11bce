"""Documentation in Markdown: headings and the text under them."""

import re
from collections.abc import Iterator

from .rows import Row, Section, from_sections, sentence, squeeze

Files = Iterator[tuple[str, bytes]]

HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*$")
FENCE = re.compile(r"\s*(```+|~~~+)")
ITEM = re.compile(r"\s*(?:[-*+]|(\d+[.)]))\s+(.*)$")
RULE = re.compile(r"\s*([-*_=]\s*){3,}$")
# A line that only includes another file, opens an alert or a zone, or is a row of a table.
NO_TEXT = re.compile(r"\s*(\[!INCLUDE.*\]\s*$|>?\s*\[!\w+\]\s*$|:::|\||\{[%{].*[%}]\}\s*$)", re.I)
FRONT_TITLE = re.compile(r"""(?m)^title:\s*(["']?)(.*?)\1\s*$""")


def sections(text: str) -> list[Section]:
    """The sections of one file. The title is that of its first heading of level 1, or else of its
    front matter; text before the first heading belongs to it."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    front = re.match(r"---\n(.*?)\n---[ ]*\n", text, re.DOTALL)
    named = FRONT_TITLE.search(front[1]) if front else None
    title = named[2] if named else ""
    body = text[front.end() :] if front else text
    lines = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL).split("\n")
    first = next((m for m in map(HEADING.match, lines) if m and len(m[1]) == 1), None)
    title = plain(first[2]) if first else plain(title)
    found: list[Section] = [(title, title, [])]
    for kind, content in blocks(lines):
        if kind == "heading":
            found.append((title, content, []))
        elif content:
            found[-1][2].append(sentence(content))
    return [s for s in found if s[1]]


def blocks(lines: list[str]) -> Iterator[tuple[str, str]]:
    """("heading" or "text", content) in order: paragraphs and entries of lists, without code and
    tables."""
    current: list[str] = []
    fence = ""
    for line in lines:
        opened = FENCE.match(line)
        if fence:
            if opened and opened[1].startswith(fence):
                fence = ""
            continue
        heading, item = HEADING.match(line), ITEM.match(line)
        ends = not line.strip(" >\t") or NO_TEXT.match(line) or RULE.match(line)
        if current and (opened or heading or item or ends):
            yield "text", plain(" ".join(current))
            current = []
        if opened:
            fence = opened[1]
        elif heading:
            yield "heading", plain(heading[2])
        elif item and not RULE.match(line):
            current = [f"{item[1] or ''} {item[2]}"]
        elif not ends:
            current.append(re.sub(r"^\s*>+\s?", "", line))
    if current:
        yield "text", plain(" ".join(current))


def plain(text: str) -> str:
    """A paragraph without its marks: links as their text, no images, tags or emphasis."""
    text = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{:.*?\}", " ", text)  # templates
    text = re.sub(r"\[!INCLUDE\s*\[([^\]]*)\]\([^)]*\)\]", r"\1", text, flags=re.IGNORECASE)
    text = re.sub(r"!\[(?:[^\[\]]|\\[\[\]]|\[[^\]]*\])*\]\([^)]*\)", " ", text)
    text = re.sub(r"\[((?:[^\[\]]|\\[\[\]])*)\](?:\([^)]*\)|\[[^\]]*\])", r"\1", text)
    text = re.sub(r"</?[a-zA-Z][^<>]*>", " " if "<br" in text else "", text)
    text = re.sub(r"\*\*|__(?=\S)(?=[^_]*__)|`", "", text)
    text = re.sub(r"(?<![\w\\*])[*_]([^\s*_](?:[^*_]*[^\s*_\\])?)[*_](?![\w*])", r"\1", text)
    text = re.sub(r"\\([^\w\s])", r"\1", text)
    text = re.sub(r"\\\s", " ", text + " ")
    for name, character in (("lt", "<"), ("gt", ">"), ("nbsp", " "), ("quot", '"'), ("amp", "&")):
        text = text.replace(f"&{name};", character)
    return squeeze(text)


def documentation(files: Files, join: str = ": ") -> Iterator[Row]:
    """Rows of every file; a heading of one or two words needs the title to be understood."""
    found = (s for _, content in files for s in sections(content.decode("utf-8", "replace")))
    return from_sections(found, lambda title, heading: f"{title}{join}{heading}", most_words=2)


def guides(files: Files) -> Iterator[Row]:
    return documentation(files, join=" ")


def articles(files: Files) -> Iterator[Row]:
    """As `documentation`, with headings as they are."""
    found = (s for _, content in files for s in sections(content.decode("utf-8", "replace")))
    return from_sections(found, lambda title, heading: heading, most_words=0)


def tldr(files: Files) -> Iterator[Row]:
    """What a command is for, and the command with its uses."""
    for _, content in files:
        text = content.decode("utf-8", "replace")
        name = re.search(r"(?m)^# (.*)$", text)
        lead = [line[1:].strip() for line in re.findall(r"(?m)^>.*$", text)]
        lead = [line for line in lead if not re.match(r"More information|See also", line)]
        uses = re.findall(r"(?m)^- (.*?):?\s*\n\n`(.*)`\s*$", text)
        uses = [f"{what}: {placeholders(command)}." for what, command in uses]
        if name and lead and uses:
            query = plain(lead[0]).rstrip(".")
            yield query, squeeze(f"{name[1]}: {' '.join(uses)}")


def placeholders(command: str) -> str:
    """`{{[-a|--all]}}` as its long form, `{{path/to/file}}` without its braces."""
    command = re.sub(r"\{\{\[([^|\]]*)\|([^\]]*)\]\}\}", r"\2", command)
    return re.sub(r"\{\{(.*?)\}\}", r"\1", command)
