"""The command line: `python -m lanerank_train.gather --help`."""

import argparse
import sys
from pathlib import Path

from ..sources import LICENCES
from . import compare, overlap
from .origins import Places, Refused
from .rows import read, write
from .table import TABLE


def main() -> int:
    parser = argparse.ArgumentParser("lanerank_train.gather", description="Writes NAME.jsonl.gz.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="+", choices=sorted(TABLE), metavar="NAME")
    parser.add_argument(
        "--repositories",
        type=Path,
        help="folder of Git repositories, bare or not, named OWNER+NAME; others are fetched",
    )
    parser.add_argument(
        "--without",
        type=Path,
        metavar="EVAL",
        help="folder of test collections: rows that overlap with them are left out",
    )
    parser.add_argument(
        "--compare", type=Path, metavar="PAIRS", help="folder of files of the same names to measure"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    places = Places(options.out / "downloads", options.repositories)
    evaluation = overlap.read(options.without) if options.without else None
    failed = 0
    for name in options.only or TABLE:
        file = options.out / f"{name}.jsonl.gz"
        try:
            rows = TABLE[name].gather(places)
        except Refused as reason:
            print(f"{name}: not gathered: {reason}", file=sys.stderr)
            failed = 1
            continue
        if evaluation:
            rows = list(evaluation.without(rows))
        count = write(TABLE[name].draw(rows), file)
        print(f"{name}: {count} rows of {len(rows)}, {LICENCES[name][0]}", flush=True)
        if options.compare and (options.compare / file.name).exists():
            print(f"  {compare.report(rows, read(options.compare / file.name))}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
