"""The teachers' scores of (query, candidate): a sentence encoder's cosine, and BM25.

The encoder is all-MiniLM-L6-v2 (Apache-2.0), run by lanerank from an int8 file: many times faster
than PyTorch, with a cosine of .998 to its vectors.
"""

import json
import subprocess
from pathlib import Path

import numpy as np

LONGEST = 256


def embed(binary: Path, model: Path, texts: Path, out: Path) -> None:
    """Embeds a file of JSON strings into an npy of f16 rows, in parts that can be resumed."""
    lines = texts.read_text().splitlines()
    parts = []
    for start in range(0, len(lines), 20000):
        part = out.with_suffix(f".{start}.npy")
        parts.append(part)
        if part.exists():
            continue
        run = subprocess.run(
            [binary, "embed", "--model", model, "--max-length", str(LONGEST)],
            input="\n".join(lines[start : start + 20000]) + "\n",
            capture_output=True,
            text=True,
            check=True,
        )
        rows = np.array([json.loads(line) for line in run.stdout.splitlines()], np.float16)
        scratch = part.with_suffix(".tmp.npy")
        np.save(scratch, rows)
        scratch.rename(part)
        print(f"{texts.name}: {start + len(rows)}/{len(lines)}", flush=True)
    np.save(out, np.concatenate([np.load(part) for part in parts]))
    for part in parts:
        part.unlink()


class Teachers:
    """The teachers' scores of candidates. A made passage or query has those of its original."""

    def __init__(self, folder: Path):
        pool = np.load(folder / "pool.npz")
        self.queries = np.load(folder / "queries.npy", mmap_mode="r")
        self.passages = np.load(folder / "passages.npy", mmap_mode="r")
        self.candidates, self.scores = pool["candidates"], pool["scores"]
        self.means, self.stands = pool["means"], pool["stands"]

    def cosines(self, query: int, passages: np.ndarray) -> np.ndarray:
        rows = self.passages[self.stands[passages]].astype(np.float32)
        return rows @ self.queries[self.means[query]].astype(np.float32)

    def bm25(self, query: int, passages: np.ndarray) -> np.ndarray:
        """BM25's score as a share of the best; passages not in the list count as half its last."""
        query = self.means[query]
        scores = self.scores[query]
        best = max(scores[0], 1e-6)
        known = dict(zip(self.candidates[query].tolist(), scores.tolist(), strict=True))
        below = 0.5 * float(scores[-1])
        return np.array([known.get(int(p), below) for p in self.stands[passages]], np.float32) / best
