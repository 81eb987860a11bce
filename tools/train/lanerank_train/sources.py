"""The sources of text and their licences.

A source is a list of (query, passage) pairs; a query may be empty, then the passage stands alone.
Sources that are not in LICENCES are refused: the weights are published, so every source must allow
that.
"""

import gzip
import json
import subprocess
from pathlib import Path

# name -> (licence, origin). Files are `NAME.jsonl.gz` with a {"query", "positive"} per line.
LICENCES = {
    "arxiv_titles": ("CC0 1.0 (arXiv's terms of its API, on metadata)", "arXiv, 2025 and 2026"),
    "aws_docs": ("CC BY-SA 4.0", "github.com/awsdocs, seven guides"),
    "cpp_docs": ("CC BY 4.0", "github.com/MicrosoftDocs/cpp-docs"),
    "debian_descriptions": ("DFSG-free, each package's own", "Debian 12 main, Translation-en"),
    "debian_package_manuals": (
        "PostgreSQL, PSF, GPL-2+ or CC BY-SA 3.0, MIT or Apache-2.0, GPL-2",
        "Debian 12: postgresql-doc-15, python3.11-doc, debian-handbook, rust-doc, git-doc",
    ),
    "digitalgov": ("public domain", "github.com/GSA/digitalgov.gov"),
    "dynamics365_business_docs": ("CC BY 4.0", "github.com/MicrosoftDocs/dynamics365smb-docs"),
    "fairytaleqa": ("Apache-2.0", "github.com/uci-soe/FairytaleQAData"),
    "fetaqa": ("CC BY-SA 4.0", "github.com/Yale-LILY/FeTaQA"),
    "foldoc": ("GFDL 1.1+", "Debian package dict-foldoc"),
    "medquad": ("CC BY 4.0", "github.com/abachaa/MedQuAD"),
    "nq_qed": ("CC BY-SA 3.0", "github.com/google-research-datasets/QED"),
    "openstax": ("CC BY 4.0", "github.com/openstax, 17 books"),
    "perlfaq": ("Artistic or GPL", "Debian package perl-doc"),
    "powershell_docs": ("CC BY 4.0", "github.com/MicrosoftDocs/PowerShell-Docs"),
    "pubmedqa": ("MIT", "github.com/pubmedqa/pubmedqa"),
    "selqa_dev": ("Apache-2.0", "github.com/emorynlp/selqa"),
    "squad_sentences": ("CC BY-SA 4.0", "SQuAD 1.1 by way of github.com/xinyadu/nqg"),
    "stackexchange": ("CC BY-SA 3.0/4.0", "Stack Exchange dumps of 17 small sites"),
    "tldr_pages": ("CC BY 4.0", "github.com/tldr-pages/tldr"),
    "us_consumer_finance_regulations": ("public domain (17 USC 105)", "github.com/cfpb"),
    "vba_office_docs": ("CC BY 4.0", "github.com/MicrosoftDocs/VBA-Docs"),
    "wordnet": ("WordNet 3.0 licence (permissive)", "Debian package wordnet-base"),
}

# Never trained on: the recipe is chosen by them.
LEFT_OUT = ("perlfaq", "pubmedqa", "selqa_dev", "us_consumer_finance_regulations")


def read_all(pairs: Path, debian: Path) -> dict[str, list[tuple[str, str]]]:
    """All sources: the files in `pairs`, and WordNet from a Debian package in `debian`."""
    found = {}
    for name in LICENCES:
        file = pairs / f"{name}.jsonl.gz"
        if file.exists():
            with gzip.open(file, "rt") as lines:
                rows = [json.loads(line) for line in lines]
            found[name] = [(squeeze(r["query"]), squeeze(r["positive"])) for r in rows]
    for file in sorted(pairs.glob("*.jsonl.gz")):
        if file.name.removesuffix(".jsonl.gz") not in LICENCES:
            print(f"skipped, its licence is not known to allow publishing: {file.name}")
    found["wordnet"] = definitions(wordnet(debian))
    return found


def squeeze(text: str) -> str:
    return " ".join(text.split())


def wordnet(debian: Path) -> Path:
    """WordNet's files, from the unpacked Debian package; `apt-get download` needs no root."""
    target = debian / "wordnet-base"
    if not target.exists():
        debian.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "wordnet-base"], cwd=debian, check=True)
        (archive,) = debian.glob("wordnet-base_*.deb")
        subprocess.run(["dpkg-deb", "-x", archive, target], check=True)
    return target / "usr/share/wordnet"


def synsets(file: Path):
    """(offset, words, definition) of each set of synonyms in one of WordNet's data files."""
    with open(file) as lines:
        for line in lines:
            if not line.startswith(" "):
                head, gloss = line.rstrip().split(" | ", 1)
                offset, _, _, count, *rest = head.split(" ")
                words = [rest[2 * i].replace("_", " ") for i in range(int(count, 16))]
                yield offset, words, gloss


def definitions(root: Path) -> list[tuple[str, str]]:
    """Nouns and their definitions, if long enough for a passage."""
    return [
        (f"what is {words[0]}", f"{', '.join(words)}: {gloss}")
        for _, words, gloss in synsets(root / "data.noun")
        if len(gloss.split()) >= 10
    ]


def synonyms(root: Path) -> dict[str, list[str]]:
    """Word -> other words for its most frequent meaning, as a noun, else a verb, else an
    adjective."""
    found = {}
    for part in ("noun", "verb", "adj"):
        sets = {offset: words for offset, words, _ in synsets(root / f"data.{part}")}
        with open(root / f"index.{part}") as lines:
            for line in lines:
                if line.startswith(" "):
                    continue
                fields = line.split()
                # The last fields are the offsets of all meanings, the most frequent first.
                word, first = fields[0], fields[-int(fields[2])]
                others = [o.lower() for o in sets[first] if o.lower() != word]
                others = [o for o in others if o.replace(" ", "").isalpha()]
                if others and word.isalpha():
                    found.setdefault(word, others)
    return found
