"""The sources of text and their licences.

A source is a list of (query, passage) pairs. Sources that are not in LICENCES are refused: the
weights are published, so every source must allow that.
"""

import gzip
import html.parser
import json
import re
import subprocess
from pathlib import Path

# name -> (licence, origin). Files are `NAME.jsonl.gz` with a {"query", "positive"} per line.
LICENCES = {
    "debian_descriptions": ("DFSG-free, each package's own", "Debian 12 main, Translation-en"),
    "medquad": ("CC BY 4.0", "github.com/abachaa/MedQuAD"),
    "squad_sentences": ("CC BY-SA 4.0", "SQuAD 1.1 by way of github.com/xinyadu/nqg"),
    "foldoc": ("GFDL 1.1+", "Debian package dict-foldoc"),
    "fairytaleqa": ("Apache-2.0", "github.com/uci-soe/FairytaleQAData"),
    "nq_qed": ("CC BY-SA 3.0", "github.com/google-research-datasets/QED"),
    "stackexchange": ("CC BY-SA 3.0/4.0", "Stack Exchange dumps of 17 small sites"),
    "fetaqa": ("CC BY-SA 4.0", "github.com/Yale-LILY/FeTaQA"),
    "pubmedqa": ("MIT", "github.com/pubmedqa/pubmedqa"),
    "selqa_dev": ("Apache-2.0", "github.com/emorynlp/selqa"),
    "perlfaq": ("Artistic or GPL", "Debian package perl-doc"),
    "wordnet": ("WordNet 3.0 licence (permissive)", "Debian package wordnet-base"),
    "postgresql_docs": ("PostgreSQL licence (permissive)", "Debian package postgresql-doc-15"),
}


def read_all(pairs: Path, debian: Path) -> dict[str, list[tuple[str, str]]]:
    """All sources: the files in `pairs`, and Debian packages downloaded to `debian`."""
    found = {}
    for name in LICENCES:
        file = pairs / f"{name}.jsonl.gz"
        if file.exists():
            with gzip.open(file, "rt") as lines:
                rows = [json.loads(line) for line in lines]
            found[name] = [(r["query"].strip(), r["positive"].strip()) for r in rows]
    for file in sorted(pairs.glob("*.jsonl.gz")):
        if file.name.removesuffix(".jsonl.gz") not in LICENCES:
            print(f"skipped, its licence is not known to allow publishing: {file.name}")
    found["wordnet"] = wordnet(debian_package("wordnet-base", debian))
    found["postgresql_docs"] = html_sections(debian_package("postgresql-doc-15", debian))
    return found


def debian_package(name: str, folder: Path) -> Path:
    """The unpacked package; `apt-get download` needs no root."""
    target = folder / name
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", name], cwd=folder, check=True)
        (archive,) = folder.glob(f"{name}_*.deb")
        subprocess.run(["dpkg-deb", "-x", archive, target], check=True)
    return target


def wordnet(root: Path) -> list[tuple[str, str]]:
    """Nouns and their definitions, if long enough for a passage."""
    pairs = []
    with open(root / "usr/share/wordnet/data.noun") as lines:
        for line in lines:
            if line.startswith(" "):
                continue
            head, gloss = line.rstrip().split(" | ", 1)
            fields = head.split(" ")
            count = int(fields[3], 16)
            lemmas = [fields[4 + 2 * i].replace("_", " ") for i in range(count)]
            if len(gloss.split()) >= 10:
                pairs.append((f"what is {lemmas[0]}", f"{', '.join(lemmas)}: {gloss}"))
    return pairs


class _Sections(html.parser.HTMLParser):
    """Splits a page into headings and the text below each."""

    SKIP = {"script", "style", "nav", "table"}

    def __init__(self):
        super().__init__()
        self.sections, self.heading, self.skipped = [], False, 0

    def handle_starttag(self, tag, attrs):
        if tag in self.SKIP:
            self.skipped += 1
        elif re.fullmatch("h[1-4]", tag):
            self.heading = True
            self.sections.append([[], []])

    def handle_endtag(self, tag):
        if tag in self.SKIP:
            self.skipped = max(0, self.skipped - 1)
        elif re.fullmatch("h[1-4]", tag):
            self.heading = False

    def handle_data(self, data):
        if self.sections and not self.skipped:
            self.sections[-1][0 if self.heading else 1].append(data)


def html_sections(root: Path) -> list[tuple[str, str]]:
    """(heading, first 1,500 characters below it) of all pages."""
    pairs = []
    for page in sorted(root.rglob("*.html")):
        if page.is_symlink() or not page.is_file():
            continue
        parser = _Sections()
        parser.feed(page.read_text(errors="replace"))
        for heading, body in parser.sections:
            heading = re.sub(r"^[\dA-Z.]+\s+|\s+#$", "", " ".join("".join(heading).split()))
            body = " ".join("".join(body).split())[:1500]
            if len(heading.split()) >= 2 and len(body.split()) >= 25:
                pairs.append((heading, body))
    return list(dict.fromkeys(pairs))
