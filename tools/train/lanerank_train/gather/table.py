"""The sources, and where each comes from. Their licences are in `sources.LICENCES`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import debian, manuals
from .origins import Descriptions, Package, Places, Repository
from .rows import Row


@dataclass(frozen=True)
class Source:
    origins: tuple[Repository | Package | Descriptions, ...]
    rows: Callable[[Iterator[tuple[str, bytes]]], Iterator[Row]]

    def gather(self, places: Places) -> Iterator[Row]:
        return self.rows(entry for origin in self.origins for entry in origin.open(places))


# The books; of the reference, the library's public modules.
RUST = tuple(f"*/html/{part}/*.html" for part in ("book", "reference", "rustc", "std"))

TABLE = {
    "debian_package_manuals": Source(
        (
            Package("postgresql-doc-15", "15.18-0+deb12u1", ("*.html",), "PostgreSQL"),
            Package("python3.11-doc", "3.11.2-6+deb12u7", ("*.html",), "PYTHON SOFTWARE FOUNDATION LICENSE"),
            Package(
                "debian-handbook",
                "11.20220922",
                ("*/html/en-US/*.html",),
                "GNU General Public License",
            ),
            Package("rust-doc", "1.63.0+dfsg1-2", RUST, "Apache License"),
            Package("git-doc", "1:2.39.5-0+deb12u3", ("*.html",), "GPL-2"),
        ),
        manuals.manuals,
    ),
    "debian_descriptions": Source((Descriptions(),), debian.descriptions),
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
    "perlfaq": Source(
        (
            Package(
                "perl-doc",
                "5.36.0-7+deb12u3",
                ("usr/share/perl/*/pod/perlfaq[1-9].pod",),
                "Artistic",
            ),
        ),
        debian.perlfaq,
    ),
}
