"""Documentation in Markdown: headings and the text under them."""

import html
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
    """The sections of one file. The title is that of its front matter, or else of its first heading
    of level 1; text before the first heading belongs to it."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    front = re.match(r"---\n(.*?)\n---[ ]*\n", text, re.DOTALL)
    named = FRONT_TITLE.search(front[1]) if front else None
    title = named[2] if named else ""
    body = text[front.end() :] if front else text
    lines = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL).split("\n")
    first = next((m for m in map(HEADING.match, lines) if m and len(m[1]) == 1), None)
    top = plain(first[2]) if first else ""
    title = plain(title) or top
    found: list[Section] = [(title, title, [])]
    for kind, content in blocks(lines):
        if kind == "heading":
            found.append((title, title if content == top else content, []))
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
    return squeeze(html.unescape(text))


# Headings that every page of a reference has, and those that only repeat its title.
COMMON = {"example", "examples", "notes", "parameters", "prerequisites", "properties", "remarks"}
COMMON |= {"return value", "background"}
ABOUT_ALL = {"description", "summary", "overview"}


def query(title: str, heading: str) -> str:
    """A heading of one or two words needs the page's title to be understood."""
    if heading.lower() in ABOUT_ALL:
        return title
    if heading.lower() in COMMON:
        return f"{title}: {heading}"
    return f"{title} {heading}" if len(heading.split()) <= 2 else heading


def documentation(files: Files) -> Iterator[Row]:
    """Rows of every file."""
    found = (s for _, content in files for s in sections(content.decode("utf-8", "replace")))
    return from_sections(found, query)


def tldr(files: Files) -> Iterator[Row]:
    """What a command is for, and the command with its first uses; not aliases, whose pages only
    name another."""
    for _, content in files:
        text = content.decode("utf-8", "replace")
        name = re.search(r"(?m)^# (.*)$", text)
        lead = [line[1:].strip() for line in re.findall(r"(?m)^>.*$", text)]
        lead = [line for line in lead if not re.match(r"More information|See also", line)]
        uses = re.findall(r"(?m)^- (.*?):?\s*\n\n`(.*)`\s*$", text)
        uses = [f"{what}: {command}." for what, command in uses[:6]]
        if name and lead and uses and not uses[0].startswith("View documentation for the "):
            passage = squeeze(f"{name[1]}: {' '.join(uses)}".replace("`", ""))
            passage = re.sub(r"\{\{(.*?)\}\}", r"\1", passage)
            yield plain(lead[0]).rstrip("."), passage
