#!/usr/bin/env python3
"""Checks the files that files.sh made.

    python3 tools/package/check_files.py target/files

`cargo binstall` finds the program by its metadata; the archive's program ranks, and shows the
version of the package; the Debian package holds the same program, and its manual pages.
"""

import json, re, subprocess, sys, tarfile, tempfile
from pathlib import Path


def run(*words, **options):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, **options).stdout


folder = Path(sys.argv[1])
metadata = json.loads(run("cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"))
package = next(p for p in metadata["packages"] if p["name"] == "lanerank-cli")
binstall = package["metadata"]["binstall"]
assert binstall["pkg-fmt"] == "tgz"
host = re.search(r"host: (.*)", run("rustc", "-vV", encoding="utf-8"))[1]
values = {
    "repo": package["repository"],
    "version": package["version"],
    "target": host,
    "bin": next(t["name"] for t in package["targets"] if "bin" in t["kind"]),
    "binary-ext": "",
}


def filled(template):
    return re.sub(r"\{ ([a-z-]+) \}", lambda name: values[name[1]], template)


url = filled(binstall["pkg-url"])
start = f"{package['repository']}/releases/download/v{package['version']}/"
assert url.startswith(start), url
with tempfile.TemporaryDirectory() as work:
    work = Path(work)
    with tarfile.open(folder / url.removeprefix(start)) as archive:
        archive.extractall(work / "archive", filter="data")
    program = work / "archive" / filled(binstall["bin-dir"])
    assert run(program, "--version", encoding="utf-8") == f"lanerank {package['version']}\n"
    ranked = run(
        *(program, "rerank", "--query", "fresh bread", "--json"),
        input="The lighthouse.\nBread stays fresh.\n",
        encoding="utf-8",
    )
    assert [hit["index"] for hit in json.loads(ranked)] == [1, 0], ranked
    notices = (program.parent / "THIRD-PARTY.txt").read_text()
    assert "\nrustls 0." in notices and "Permission is hereby granted" in notices
    print(f"{url}: {filled(binstall['bin-dir'])} ranks")

    debian = list(folder.glob(f"lanerank_{package['version']}-1_*.deb"))
    for file in debian:
        run("dpkg-deb", "-x", file, work / "debian")
        installed = work / "debian/usr/bin/lanerank"
        assert installed.read_bytes() == program.read_bytes()
        pages = {page.name for page in (work / "debian/usr/share/man/man1").iterdir()}
        assert {"lanerank.1.gz", "lanerank-serve.1.gz"} <= pages, pages
        depends = run("dpkg-deb", "-f", file, "Depends", encoding="utf-8").strip()
        assert "libc6 (>= " in depends
        print(f"{file.name}: the same program, {depends}")
    assert debian or not Path("/etc/debian_version").exists()
