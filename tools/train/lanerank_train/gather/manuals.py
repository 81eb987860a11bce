"""HTML manuals: headings and the text under them."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from .rows import Row, Section, from_sections, sentence, squeeze

HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
BLOCKS = {"p", "li", "dd", "div", "section", "article", "blockquote", "ul", "ol", "dl", "details"}
# Code, tables, terms of definition lists, and what is not the page's text.
BLOCKS_SKIPPED = {"pre", "table", "dt", "nav", "head", "header", "footer", "form"}
SKIPPED = BLOCKS_SKIPPED | {"script", "style", "button", "svg", "sup"}
CLASSES = {"navheader", "navfooter", "sphinxsidebar", "related", "toc", "headerlink", "sidebar"}
CLASSES |= {"footer", "anchor", "since", "out-of-band", "src", "srclink", "hideme"}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}


class Page(HTMLParser):
    """Collects the sections of one page; the title is the first heading's text."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.sections: list[Section] = []
        self.open: list[str] = []
        self.skipping = 0  # depth of the outermost skipped element, or 0
        self.title = ""
        self.text = ""

    def handle_starttag(self, tag, attributes):
        if tag in VOID:
            self.text += " " if tag == "br" else ""
            return
        self.open.append(tag)
        classes = set((dict(attributes).get("class") or "").split())
        if not self.skipping and (tag in SKIPPED or classes & CLASSES):
            self.skipping = len(self.open)
        if tag in HEADINGS or tag in BLOCKS or tag in BLOCKS_SKIPPED:
            self.end_block()

    def handle_endtag(self, tag):
        if tag not in self.open:
            return
        if tag in HEADINGS and not self.skipping:
            self.begin_section(squeeze(self.text))
        elif tag in BLOCKS:
            self.end_block()
        while self.open.pop() != tag:  # elements without an end tag
            pass
        if self.skipping > len(self.open):
            self.skipping = 0

    def handle_data(self, data):
        if not self.skipping:
            self.text += data

    def begin_section(self, heading: str):
        self.text = ""
        heading = re.sub(r"^[\d.]+ ", "", heading)  # its number
        if heading:
            self.title = self.title or heading
            self.sections.append((self.title, heading, []))

    def end_block(self):
        text, self.text = squeeze(self.text), ""
        if text and self.sections:
            self.sections[-1][2].append(sentence(text))


def sections(page: str) -> list[Section]:
    parser = Page()
    parser.feed(page)
    parser.close()
    parser.end_block()
    return parser.sections


def manuals(files: Iterator[tuple[str, bytes]]) -> Iterator[Row]:
    """Rows of every page; a heading of one word needs the page's title to be understood."""
    found = (s for _, page in files for s in sections(page.decode("utf-8", "replace")))
    return from_sections(found, lambda t, h: h if " " in h else f"{h} {t}")
