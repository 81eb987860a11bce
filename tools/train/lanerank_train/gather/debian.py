"""Texts of Debian packages: a dictionary of computing, package descriptions, questions on Perl."""

import gzip
import re
from collections.abc import Iterator

from .rows import Row, pairs

Files = Iterator[tuple[str, bytes]]

DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def foldoc(files: Files) -> Iterator[Row]:
    """Terms of FOLDOC and their entries; short terms need "computing" to be understood."""
    named = {path.rsplit("/", 1)[1]: content for path, content in files}
    entries = dict_entries(named["foldoc.index"], gzip.decompress(named["foldoc.dict.dz"]))
    rows = []
    for entry in entries:
        head, _, body = entry.partition("\n\n")
        body = re.sub(r"^\s*<[^>]*>", "", body)
        words = " ".join(head.replace("%%%", " ").split())
        rows.append((words, re.sub(r"[{}]", "", body)))
    for words, body in pairs(rows, shortest=80):
        if not body.startswith("The original data was distributed with"):  # dictd's own entries
            yield (f"what is {words}" if len(words) > 12 else f"{words} computing term"), body


def dict_entries(index: bytes, text: bytes) -> Iterator[str]:
    """Entries of a dictionary of dictd, in the order of its index: headword, offset and length
    in base 64, separated by tabs. Several headwords can lead to one entry."""
    seen = set()
    for line in index.decode("utf-8").splitlines():
        _, offset, length = line.split("\t")[:3]
        start, size = number(offset), number(length)
        if start not in seen:
            seen.add(start)
            yield text[start : start + size].decode("utf-8", "replace")


def number(digits: str) -> int:
    value = 0
    for digit in digits:
        value = value * 64 + DIGITS.index(digit)
    return value


def descriptions(files: Files) -> Iterator[Row]:
    """Packages' one-line descriptions and their long ones, of 120 characters and more.

    Packages of one source often begin their long descriptions alike: the first is kept.
    """
    rows = []
    for _, content in files:
        for paragraph in content.decode("utf-8").split("\n\n"):
            name = re.match(r"Package: (\S+)", paragraph)
            _, found, text = paragraph.partition("\nDescription-en: ")
            synopsis, _, long = text.partition("\n")
            if not found or re.search(r"-(doc|dbg)$", name[1]) or "development files" in synopsis:
                continue
            rows.append((synopsis, re.sub(r"(?m)^ \.$", "", long)))
    seen = set()
    for synopsis, long in pairs(rows, shortest=120):
        if long[:120] not in seen:
            seen.add(long[:120])
            yield synopsis, long


def perlfaq(files: Files) -> Iterator[Row]:
    """Questions (=head2) and answers of Perl's FAQ."""
    rows = []
    for _, content in files:
        text = content.decode("utf-8", "replace")
        for section in re.split(r"(?m)^=head2 ", text)[1:]:
            question, _, answer = section.partition("\n\n")
            answer = re.split(r"(?m)^=head1 ", answer)[0]
            answer = re.sub(r"(?m)^=.*$", "", answer)
            rows.append((plain_pod(question), plain_pod(answer)))
    return pairs(rows, shortest=80)


def plain_pod(text: str) -> str:
    """POD without its formatting codes: `C<code>`, `L<text|link>`, `I<< a > b >>`, `E<lt>`; index
    entries, `X<...>`, are left out."""
    text = re.sub(r"X<[^<>]*>", "", text)
    for _ in range(3):  # codes are nested
        text = text.replace("E<lt>", "\0").replace("E<gt>", "\1")
        text = re.sub(r"[A-Z]<<+\s(.*?)\s>>+", r"\1", text, flags=re.DOTALL)
        text = re.sub(r"L<([^<>|]*)\|[^<>]*>", r"\1", text)
        text = re.sub(r"[A-Z]<([^<>]*)>", r"\1", text)
    return text.replace("\0", "<").replace("\1", ">")
