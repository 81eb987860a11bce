"""Books and regulations in XML."""

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from .rows import SECTION, Row, Section, from_sections, pairs, sentence, squeeze, unique

Files = Iterator[tuple[str, bytes]]
Element = ElementTree.Element

# What is no running text in CNXML (OpenStax) and in RegML (the CFPB).
NOT_PROSE = {"figure", "table", "exercise", "equation", "code", "media", "glossary", "metadata"}
NOT_PROSE |= {"tableOfContents", "analysis", "graphic", "footnote", "math"}


def name(element: Element) -> str:
    return element.tag.rsplit("}", 1)[-1]


def text(element: Element) -> str:
    """The text in an element, without what is no prose. White space at its ends is kept: a
    paragraph's is the caller's to drop, a word's belongs to the sentence around it."""
    found = [element.text or ""]
    for child in element:
        if name(child) not in NOT_PROSE:
            space = " " if name(child) in ("item", "list", "para") else ""
            found += [space, text(child), space]
        found.append(child.tail or "")
    return re.sub(r"\s+", " ", "".join(found))


def openstax(files: Files) -> Iterator[Row]:
    """Headings and sections of textbooks, and the terms of their glossaries."""
    modules = [ElementTree.fromstring(content) for _, content in files]
    found = [s for module in modules for s in sections(module)]
    rows = list(from_sections(found, book_query))
    glossary = [
        (term, f"{term}: {meaning}") for module in modules for term, meaning in terms(module)
    ]
    return unique([*rows, *pairs(glossary)])


def book_query(title: str, heading: str) -> str:
    """A summary is of the module; short headings need its title, except those of a preface."""
    if heading in ("Summary", "Section Summary", "Key Concepts and Summary"):
        return title
    return f"{heading}: {title}" if len(heading.split()) <= 2 and title != "Preface" else heading


def sections(module: Element) -> list[Section]:
    """A module's title with the text before its first section, then each section."""
    title = next((squeeze("".join(e.itertext())) for e in module if name(e) == "title"), "")
    content = next((e for e in module if name(e) == "content"), None)
    found: list[Section] = []
    if content is not None:
        collect(content, title, title, found)
    return [s for s in found if s[1]]


def collect(element: Element, title: str, heading: str, found: list[Section]):
    """Adds the element's paragraphs under its own heading, and goes on with parts in it."""
    section = (title, heading, [])
    found.append(section)
    stack = list(element)
    while stack:
        child = stack.pop(0)
        kind = name(child)
        if kind == "section" or (kind == "note" and heading_of(child)):
            collect(child, title, heading_of(child) or heading, found)
        elif kind in ("para", "item"):
            paragraph = text(child).strip()
            if paragraph:
                section[2].append(sentence(paragraph))
        elif kind not in NOT_PROSE and kind != "title":
            stack = [*child, *stack]


def heading_of(element: Element) -> str:
    return next((squeeze("".join(e.itertext())) for e in element if name(e) == "title"), "")


def terms(module: Element) -> Iterator[tuple[str, str]]:
    for definition in module.iter():
        if name(definition) == "definition":
            parts = {name(e): text(e).strip() for e in definition}
            if parts.get("term") and len(parts.get("meaning", "").split()) >= 5:
                yield parts["term"], parts["meaning"][:SECTION]


def regulations(files: Files) -> Iterator[Row]:
    """Subjects of sections and headings of comments, with the newest text of each part."""
    newest = {}
    for path, content in files:
        part = path.split("/")[1]
        root = ElementTree.fromstring(content)
        date = next(e.text for e in root.iter() if name(e) == "effectiveDate")
        newest[part] = max(newest.get(part, ("", None)), (date, root), key=lambda x: x[0])
    found: list[Section] = []
    for _, root in newest.values():
        for element in root.iter():
            if name(element) in ("section", "interpSection"):
                provision(element, "", found)
    return from_sections(found, lambda title, heading: heading)


def provision(element: Element, above: str, found: list[Section]):
    """A section or a comment: its subject or title, and the paragraphs in it."""
    own = next((squeeze(text(e)) for e in element if name(e) in ("subject", "title")), "")
    heading = own.split(" ", 2)[-1].rstrip(".") if own.startswith("§") else own.rstrip(".")
    section = ("", heading or above, [])
    found.append(section)
    stack = list(element)
    while stack:
        child = stack.pop(0)
        kind = name(child)
        if kind in ("interpSection", "interpParagraph") and any(name(e) == "title" for e in child):
            provision(child, section[1], found)
        elif kind == "content":
            paragraph = text(child).strip()
            if paragraph:
                section[2].append(sentence(paragraph))
        elif kind not in NOT_PROSE and kind not in ("subject", "title"):
            stack = [*child, *stack]
