"""Where texts come from: Git repositories at a fixed commit, and packages of Debian 12.

Both check the licence: the file named in the table must hold the words named there.
"""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

MIRROR = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Refused(Exception):
    """A licence that is not the expected one, or an origin that cannot be had."""


def check_licence(where: str, text: str, words: str):
    if words.lower() not in " ".join(text.split()).lower():
        raise Refused(f"{where} does not contain {words!r}: its licence must be read again")


@dataclass(frozen=True)
class Repository:
    """A repository of github.com, and the files in it to read: shell patterns, `*` also matches
    `/`."""

    name: str
    commit: str
    files: tuple[str, ...]
    licence: tuple[str, str] | None  # file, words that it must contain

    def open(self, places: "Places") -> Iterator[tuple[str, bytes]]:
        """(path, content) of the files, by path."""
        git = ["git", "-C", str(places.repository(self))]
        if self.licence:
            file, words = self.licence
            text = run([*git, "show", f"{self.commit}:{file}"]).decode("utf-8", "replace")
            check_licence(f"{self.name}: {file}", text, words)
        listing = run([*git, "ls-tree", "-r", "-z", self.commit]).decode().split("\0")
        entries = [entry.split("\t", 1) for entry in listing if entry]
        wanted = [
            (path, head.split()[2])
            for head, path in entries
            if head.split()[1] == "blob" and any(fnmatch(path, p) for p in self.files)
        ]
        if not wanted:
            raise Refused(f"{self.name}: no file matches {self.files}")
        yield from self.read(git, wanted)

    def read(self, git: list[str], wanted: list[tuple[str, str]]) -> Iterator[tuple[str, bytes]]:
        absent = 0
        command = [*git, "cat-file", "--batch"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            for path, blob in wanted:
                process.stdin.write(blob.encode() + b"\n")
                process.stdin.flush()
                head = process.stdout.readline().split()
                if head[-1] == b"missing":
                    absent += 1
                    continue
                yield path, process.stdout.read(int(head[2]))
                process.stdout.read(1)
            process.stdin.close()
        if absent:
            print(f"{self.name}: {absent} of {len(wanted)} files are absent from this copy")


@dataclass(frozen=True)
class Package:
    """A package of Debian 12's main archive, which keeps only the newest version; `version` is the
    one that the shipped model was trained on."""

    name: str
    version: str
    files: tuple[str, ...]
    licence: str  # words that /usr/share/doc/NAME/copyright must contain

    def open(self, places: "Places") -> Iterator[tuple[str, bytes]]:
        root = places.package(self)
        text = (root / f"usr/share/doc/{self.name}/copyright").read_text("utf-8", "replace")
        check_licence(f"{self.name}: copyright", text, self.licence)
        paths = sorted(p for p in root.rglob("*") if p.is_file() and not p.is_symlink())
        wanted = [(str(p.relative_to(root)), p) for p in paths]
        wanted = [(n, p) for n, p in wanted if any(fnmatch(n, f) for f in self.files)]
        if not wanted:
            raise Refused(f"{self.name}: no file matches {self.files}")
        for name, path in wanted:
            yield name, path.read_bytes()


@dataclass(frozen=True)
class Descriptions:
    """Debian 12's file of package descriptions, as `apt-get update` brings it."""

    def open(self, places: "Places") -> Iterator[tuple[str, bytes]]:
        places.update()
        (file,) = (places.apt() / "lists").glob("*_i18n_Translation-en")
        yield file.name, file.read_bytes()


@dataclass(frozen=True)
class Places:
    """Folders: what is downloaded, and repositories that are already here (or None)."""

    downloads: Path
    repositories: Path | None = None

    def repository(self, origin: Repository) -> Path:
        """A repository that has the commit; fetched without its history if none is here."""
        name = origin.name.replace("/", "+")
        if self.repositories:
            for place in (self.repositories / name, self.repositories / name / "repo"):
                if (place / "HEAD").exists() or (place / ".git").exists():
                    return place
        place = self.downloads / name
        if not place.exists():
            run(["git", "init", "-q", "--bare", str(place)])
        git = ["git", "-C", str(place)]
        have = subprocess.run(
            [*git, "cat-file", "-e", f"{origin.commit}^{{tree}}"], stderr=subprocess.DEVNULL
        )
        if have.returncode:
            url = f"https://github.com/{origin.name}"
            run([*git, "fetch", "-q", "--depth", "1", url, origin.commit])
        return place

    def apt(self) -> Path:
        return (self.downloads / "apt").absolute()

    def options(self) -> list[str]:
        """apt with its own folders and Debian 12's archive: no root, and another release's
        sources do not matter."""
        root = self.apt()
        return [
            *("-o", f"Dir::Etc::sourcelist={root}/sources.list"),
            *("-o", "Dir::Etc::sourceparts=-"),
            *("-o", f"Dir::State::lists={root}/lists"),
            *("-o", f"Dir::Cache={root}/cache"),
            *("-o", "Acquire::Languages=en"),
            *("-o", "Acquire::GzipIndexes=false"),
            *("-o", "APT::Architecture=amd64"),
            *("-o", "APT::Sandbox::User="),
        ]

    def update(self):
        root = self.apt()
        if not (root / "updated").exists():
            (root / "lists/partial").mkdir(parents=True, exist_ok=True)
            (root / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
            line = f"deb [signed-by={KEYRING}] {MIRROR} bookworm main\n"
            (root / "sources.list").write_text(line)
            run(["apt-get", *self.options(), "-q", "update"])
            (root / "updated").touch()

    def package(self, origin: Package) -> Path:
        """The unpacked package."""
        target = self.apt() / origin.name
        if target.exists():
            return target
        self.update()
        run(["apt-get", *self.options(), "-q", "download", origin.name], cwd=self.apt())
        (archive,) = self.apt().glob(f"{origin.name}_*.deb")
        version = run(["dpkg-deb", "-f", str(archive), "Version"]).decode().strip()
        if version != origin.version:
            print(f"{origin.name}: version {version}; the model's was {origin.version}")
        partial = target.with_name(f"{target.name}.partial")
        run(["dpkg-deb", "-x", str(archive), str(partial)])
        os.replace(partial, target)
        return target


def run(command: list[str], cwd: Path | None = None) -> bytes:
    """What the command writes."""
    result = subprocess.run(command, cwd=cwd, capture_output=True)
    if result.returncode:
        message = result.stderr.decode("utf-8", "replace").strip()
        raise Refused(f"{' '.join(command)}: {message}")
    return result.stdout
