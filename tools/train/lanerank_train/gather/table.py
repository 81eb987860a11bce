"""The sources, and where each comes from. Their licences are in `sources.LICENCES`.

Not here: `stackexchange` (the list of the repositories with its dumps was not kept) and `wordnet`
(which `sources` gets itself).
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import books, debian, manuals, markdown, questions
from .origins import Descriptions, Package, Places, Repository
from .rows import Row


@dataclass(frozen=True)
class Source:
    origins: tuple[Repository | Package | Descriptions, ...]
    rows: Callable[[Iterator[tuple[str, bytes]]], Iterator[Row]]
    most: int | None = None  # rows to keep, at random

    def gather(self, places: Places) -> list[Row]:
        """All rows."""
        return list(self.rows(entry for origin in self.origins for entry in origin.open(places)))

    def draw(self, rows: list[Row]) -> list[Row]:
        """The rows to keep."""
        if self.most is None or len(rows) <= self.most:
            return rows
        chosen = random.Random(0).sample(range(len(rows)), self.most)
        return [rows[i] for i in sorted(chosen)]


BY = "Attribution 4.0 International"
BY_SA = "Attribution-ShareAlike 4.0 International"
APACHE = "Apache License"


def docs(name: str, commit: str, *files: str, licence: str = "LICENSE") -> Repository:
    return Repository(f"MicrosoftDocs/{name}", commit, files, (licence, BY))


def guide(name: str, commit: str) -> Repository:
    """A guide of AWS at the last commit with its text."""
    return Repository(f"awsdocs/{name}", commit, ("doc_source/*.md",), ("LICENSE", BY_SA))


def book(name: str, commit: str) -> Repository:
    """A book of OpenStax at a commit under CC BY; most are CC BY-NC-SA later."""
    files = ("modules/*/index.cnxml",)
    return Repository(f"openstax/osbooks-{name}", commit, files, ("LICENSE", BY))


def qed(commit: str, files: str) -> Repository:
    licence = ("README.md", "Creative Commons Attribution-ShareAlike 3.0")
    return Repository("google-research-datasets/QED", commit, (files,), licence)


# Of Rust's documentation: the book, the references and the library.
RUST = tuple(f"*/html/{part}/*.html" for part in ("book", "reference", "rustc", "std"))

TABLE = {
    "arxiv_titles": Source(
        (
            Repository(
                "dw-dengwei/daily-arXiv-ai-enhanced",
                "b4c542b7d61bff39f8b999b45b43f62b2bb94f75",
                ("data/????-??-??.jsonl",),
                None,  # arXiv's terms, which are not in the repositories
            ),
            Repository(
                "xmkxabc/daily-arXiv-ai-enhanced",
                "b93b8b7be9cd194d9db9c0b240edddf5e44fdf57",
                ("data/????-??-??.jsonl",),
                None,
            ),
        ),
        questions.arxiv,
        most=80_000,
    ),
    "aws_docs": Source(
        (
            guide("amazon-s3-userguide", "cc53dd6a44d3aa1d654e6d3705a0a7550f20fd2a"),
            guide("amazon-ec2-user-guide", "e3707c431483ec0ffffcabebd36cf799ba682cd0"),
            guide("amazon-rds-user-guide", "f2e9ed35fba2cb7e3942a1c23ed5b37162222d41"),
            guide("amazon-sagemaker-developer-guide", "a869fa5c9bd1074a85bd23748d0463e322ad8939"),
            guide("amazon-connect-admin-guide", "21c64751657200543770555482ad4b1481357edc"),
            guide("aws-systems-manager-user-guide", "dd495cca5833730e93837f1b3b66e8290a9bde2f"),
            guide("amazon-redshift-developer-guide", "7fb360453b8cb6536a84b7d69cb2451577087165"),
        ),
        markdown.documentation,
    ),
    "cpp_docs": Source(
        (docs("cpp-docs", "a2e592a8fc391b6aff8d1323f5b58696abdc5d57", "docs/*.md"),),
        markdown.documentation,
        most=14_000,
    ),
    "debian_descriptions": Source((Descriptions(),), debian.descriptions),
    "debian_package_manuals": Source(
        (
            Package("postgresql-doc-15", "15.18-0+deb12u1", ("*.html",), "PostgreSQL"),
            Package(
                "python3.11-doc",
                "3.11.2-6+deb12u7",
                ("*.html",),
                "PYTHON SOFTWARE FOUNDATION LICENSE",
            ),
            Package(
                "debian-handbook",
                "11.20220922",
                ("*/html/en-US/*.html",),
                "GNU General Public License",
            ),
            Package("rust-doc", "1.63.0+dfsg1-2", RUST, "MIT or Apache-2.0"),
            Package("git-doc", "1:2.39.5-0+deb12u3", ("*.html",), "GPL-2"),
        ),
        manuals.manuals,
    ),
    "digitalgov": Source(
        (
            Repository(
                "GSA/digitalgov.gov",
                "4979583206d90ff1707b097454a9b169ca9e95e4",
                ("content/*.md",),
                ("LICENSE.md", "The rest of this project is in the public domain"),
            ),
        ),
        markdown.documentation,
        most=12_000,
    ),
    "dynamics365_business_docs": Source(
        (
            docs(
                "dynamics365smb-docs",
                "41aa5854d6fd0c6eacf01d5dc91327a04ab9eae9",
                "business-central/*.md",
            ),
        ),
        markdown.documentation,
    ),
    "fairytaleqa": Source(
        (
            Repository(
                "uci-soe/FairytaleQAData",
                "a24ddc17364666b7c13a425b9970c87368b03417",
                ("data-by-origin/questions/*.csv", "data-by-origin/section-stories/*.csv"),
                ("LICENSE", APACHE),
            ),
        ),
        questions.fairytaleqa,
    ),
    "fetaqa": Source(
        (
            Repository(
                "Yale-LILY/FeTaQA",
                "bbc441be807212d736c8c35a18146b530dde11d0",
                ("data/fetaQA-v1_dev.jsonl", "data/fetaQA-v1_test.jsonl"),
                ("LICENSE", BY_SA),
            ),
        ),
        questions.fetaqa,
    ),
    "foldoc": Source(
        (
            Package(
                "dict-foldoc",
                "20230119-1",
                ("usr/share/dictd/foldoc.*",),
                "GNU Free Documentation License",
            ),
        ),
        debian.foldoc,
    ),
    "medquad": Source(
        (
            Repository(
                "abachaa/MedQuAD",
                "577bd37b96c02d1833b2c9eed2de9f96964e96cb",
                ("*.xml",),
                ("LICENSE.txt", BY),
            ),
        ),
        questions.medquad,
    ),
    # The first commit has its training questions in smaller files; some were left out later.
    "nq_qed": Source(
        (
            qed("2492920337122918bbfc7d12c1268b9af796c6cf", "qed-dev.jsonlines"),
            qed("71e19e085640a2032c803a839d716f0a1b526bff", "nq-*-qed.jsonlines"),
        ),
        questions.qed,
    ),
    "openstax": Source(
        (
            book("psychology", "e061043bf2f9e86ace51c4e8dc9555160f60a99d"),
            book("introduction-sociology", "d35d5f3bdac40f93607d600134865d4f13ce1f9b"),
            book("anatomy-physiology", "b0058a743bdd2cc08196abaaa7d5469970c0d80c"),
            book("introduction-philosophy", "d7bd4f0f520529b3ad83272448a9c2be25c9040a"),
            book("introduction-political-science", "4391e659b98eec43b71e8b3f08241215fb4dd4c4"),
            book("us-history", "046331cfcea0ac1b1a8fd461b3e6aae638845af3"),
            book("principles-economics-bundle", "cd31beb103fffbc09cc81ebfe117d8c40cc12d1a"),
            book("american-government", "5c90dd7907dbf25f42266417e63ca3bb0012f031"),
            book("microbiology", "ecf34dad129d686703780e87ab5aa2e59c577a6a"),
            book("introduction-business", "f99a5bb2eeec22a6fb042f8d95435d5b9e5564da"),
            book("world-history", "3e17beda9130380d24be881e6d1942dfcc1be845"),
            book("chemistry-bundle", "32c719622fbb7a0ca729cd645c1df4cf4e7d5b3a"),
            book("astronomy", "63157f370b09c06a4cc12832384aaaf4de1ced3b"),
            book("introduction-anthropology", "418eedd9bef21ec1a6fa1b472c0d82c084e35c70"),
            book("principles-marketing", "40369d8ce3adb160cf8d2cc6528cd00be6a472eb"),
            book("principles-finance", "3b7fc65c527ef51dbee24689691f19947fb72fb2"),
            book("business-ethics", "d64573e2807a1e7ba5d7dec8c36cd815a942b5c7"),
        ),
        books.openstax,
    ),
    "perlfaq": Source(
        (
            Package(
                "perl-doc",
                "5.36.0-7+deb12u4",
                ("usr/share/perl/*/pod/perlfaq[1-9].pod",),
                "Artistic",
            ),
        ),
        debian.perlfaq,
    ),
    "powershell_docs": Source(
        (
            docs(
                "PowerShell-Docs",
                "27138b21b41de3e2b43cfcac4a56861ca419d5eb",
                "reference/7.6/*.md",
                "reference/docs-conceptual/*.md",
                licence="LICENSE.md",
            ),
        ),
        markdown.documentation,
    ),
    "pubmedqa": Source(
        (
            Repository(
                "pubmedqa/pubmedqa",
                "1cbae8e92f72f20c8d3747cbb3bf5bc53554d997",
                ("data/ori_pqal.json",),
                ("LICENSE", "MIT License"),
            ),
        ),
        questions.pubmedqa,
    ),
    "selqa_dev": Source(
        (
            Repository(
                "emorynlp/selqa",
                "fef3d6ac6944e2d4237165d90e5f859c71676bdd",
                ("ass/selqa-ass-dev.json",),
                ("LICENSE.txt", APACHE),
            ),
        ),
        questions.selqa,
    ),
    "squad_sentences": Source(
        (
            Repository(
                "xinyadu/nqg",
                "8211129a3e97d29f3e4563e35f65e4a892f70ef0",
                ("data/processed/src-test.txt", "data/processed/tgt-test.txt"),
                ("LICENSE", "MIT License"),  # of the programs; SQuAD's is in sources.LICENCES
            ),
        ),
        questions.squad_sentences,
    ),
    "tldr_pages": Source(
        (
            Repository(
                "tldr-pages/tldr",
                "08e345f42639f67d99282813247ac670dc6e87cb",
                ("pages/*.md",),
                ("LICENSE.md", "Creative Commons Attribution 4.0 International License"),
            ),
        ),
        markdown.tldr,
    ),
    "us_consumer_finance_regulations": Source(
        (
            Repository(
                "cfpb/regulations-xml",
                "f00f32f40fed9ad7848ff63da483af876a70095e",
                ("regulation/*.xml",),
                None,  # federal law is in the public domain
            ),
        ),
        books.regulations,
    ),
    "vba_office_docs": Source(
        (docs("VBA-Docs", "b2cda886ea91e36c62eb1cb177133ad024ecd345", "*.md"),),
        markdown.documentation,
        most=9_000,
    ),
}
