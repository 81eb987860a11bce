"""The teachers' scores of (query, candidate): a sentence encoder's cosine, and BM25.

The encoder is all-MiniLM-L6-v2 (Apache-2.0), run by lanerank from an int8 file: many times faster
than PyTorch, with a cosine of .998 to its vectors.
"""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

LONGEST = 128  # tokens, as the encoder was trained
PART = 5000


def embed(binary: Path, model: Path, texts: Path, out: Path, threads: int) -> None:
    """Embeds a file of JSON strings into an npy of f16 rows, in parts that can be resumed."""
    lines = texts.read_text().splitlines()
    starts = range(0, len(lines), PART)
    parts = {out.with_suffix(f".{at}.npy"): lines[at : at + PART] for at in starts}

    def make(part: Path) -> None:
        if part.exists():
            return
        run = subprocess.run(
            [binary, "embed", "-m", model, "--max-length", str(LONGEST), "--threads", "1"],
            input="\n".join(parts[part]) + "\n",
            capture_output=True,
            text=True,
            check=True,
        )
        rows = np.array([json.loads(line) for line in run.stdout.splitlines()], np.float16)
        scratch = part.with_suffix(".tmp.npy")
        np.save(scratch, rows)
        scratch.rename(part)
        print(f"{part.name} of {len(lines)}", flush=True)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(make, parts))
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
        scored = [known.get(int(passage), below) for passage in self.stands[passages]]
        return np.array(scored, np.float32) / best
