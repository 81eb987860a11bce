"""Measures the trained files on test collections with `lanerank eval`. They choose nothing."""

import gzip
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from .teacher import embed

SETS = ("scifact", "cranfield", "wikiqa", "trec-dl-2019", "se-ai", "vaswani", "cacm", "xquad-en")
MORE = ("climate-fever", "negconstraint")


def measure(
    binary: Path,
    collections: Path,
    models: dict[str, Path],
    encoder: Path | None,
    cache: Path,
    threads: int,
) -> dict:
    """nDCG@10 on every set: BM25, every model alone and blended, the encoder by cosine."""
    table = {}
    for name in (*SETS, *MORE):
        folder = collections / name
        row = {}
        for label, model in models.items():
            alone = evaluate(binary, folder, "--model", model)
            row["BM25"] = alone["before"]["ndcg@10"]
            row[label] = alone["after"]["ndcg@10"]
            blended = evaluate(binary, folder, "--model", model, "--fuse", "zscore")
            row[f"{label} blended"] = blended["after"]["ndcg@10"]
        if encoder:
            run = cosine_run(binary, folder, encoder, cache, threads)
            row["encoder"] = evaluate(binary, folder, "--run", run, "--first-stage-only")["before"][
                "ndcg@10"
            ]
        table[name] = row
        print(name, {label: round(value, 4) for label, value in row.items()}, flush=True)
    table["mean"] = {c: float(np.mean([table[s][c] for s in SETS])) for c in table[SETS[0]]}
    print("mean", {label: round(value, 4) for label, value in table["mean"].items()}, flush=True)
    return table


def lookalikes(binary: Path, models: dict[str, Path]) -> dict[str, float]:
    """The share of questions of tests/data/lookalikes whose right passage comes first."""
    folder = Path(__file__).parents[3] / "tests/data/lookalikes"
    right = dict(line.split("\t")[:2] for line in [*lines_of(folder, "qrels.tsv")][1:])
    shares = {}
    for label, model in models.items():
        with tempfile.TemporaryDirectory() as scratch:
            run = Path(scratch) / "run.trec"
            evaluate(binary, folder, "--model", model, "--write-run", run)
            rows = [line.split() for line in run.read_text().splitlines()]
        first = {query: document for query, _, document, rank, *_ in rows if rank == "1"}
        shares[label] = float(np.mean([first[query] == right[query] for query in right]))
    print("look-alikes", {label: round(share, 4) for label, share in shares.items()}, flush=True)
    return shares


def evaluate(binary: Path, folder: Path, *arguments) -> dict:
    command = [binary, "eval", "--dataset", folder, "--json", *arguments]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def cosine_run(
    binary: Path, folder: Path, encoder: Path, cache: Path, threads: int
) -> Path:
    """BM25's candidates by a sentence encoder's cosine, as a TREC run. Embeds every text once, not
    once per query."""
    out = cache / f"{folder.name}.trec"
    if out.exists():
        return out
    cache.mkdir(parents=True, exist_ok=True)
    documents, queries = read(folder, "corpus"), read(folder, "queries")
    vectors = {}
    for part, texts in (("corpus", documents), ("queries", queries)):
        lines = cache / f"{folder.name}.{part}.jsonl"
        lines.write_text("".join(json.dumps(text) + "\n" for text in texts.values()))
        embed(binary, encoder, lines, lines.with_suffix(".npy"), threads)
        rows = np.load(lines.with_suffix(".npy")).astype(np.float32)
        vectors[part] = dict(zip(texts, rows, strict=True))
    ranked = {}
    for line in lines_of(folder, "run.bm25.trec"):
        query, _, document, *_ = line.split()
        score = float(vectors["queries"][query] @ vectors["corpus"][document])
        ranked.setdefault(query, []).append((score, document))
    with open(out, "w") as file:
        for query, candidates in ranked.items():
            for rank, (score, document) in enumerate(sorted(candidates, reverse=True), 1):
                file.write(f"{query} Q0 {document} {rank} {score:.6f} cosine\n")
    return out


def lines_of(folder: Path, name: str):
    packed = folder / f"{name}.gz"
    with gzip.open(packed, "rt") if packed.exists() else open(folder / name) as lines:
        yield from lines


def read(folder: Path, part: str) -> dict[str, str]:
    rows = map(json.loads, lines_of(folder, f"{part}.jsonl"))
    return {row["_id"]: " ".join(filter(None, (row.get("title"), row["text"]))) for row in rows}
