"""Groups of candidates for a training step, as tensors."""

import json
from pathlib import Path

import numpy as np
import torch

from .teacher import Teachers

CLS, SEP = 101, 102
POSITIONS = 512


class Pool:
    """The pool's texts as WordPiece ids, with what pool.py says of them."""

    def __init__(self, folder: Path):
        arrays = np.load(folder / "pool.npz")
        self.__dict__.update({name: arrays[name] for name in arrays.files})
        self.near = np.load(folder / "near.npy")
        self.definitions = list(json.loads((folder / "sources.json").read_text())).index("wordnet")
        self.teachers = Teachers(folder)

    def query(self, number: int, longest: int) -> np.ndarray:
        start, end = self.query_starts[number : number + 2]
        return self.query_ids[start:end][:longest]

    def passage(self, number: int, longest: int) -> np.ndarray:
        start, end = self.passage_starts[number : number + 2]
        return self.passage_ids[start:end][:longest]


def choose(
    pool: Pool, query: int, size: int, rng: np.random.Generator, alike: bool = True
) -> np.ndarray:
    """A group of distinct candidates: the label if there is one; if `alike`, the twin, with what it
    is a twin of, and the decoy; some that BM25 found and some that the teacher finds similar; a
    random one."""
    label, wrong, decoy = int(pool.label[query]), int(pool.wrong[query]), int(pool.decoy[query])
    made = [int(pool.right[query]) if wrong >= 0 else label, wrong, decoy] if alike else [label]
    means = pool.means[query]
    found, near = pool.candidates[means], rng.permutation(pool.near[means])
    rest = rng.permutation(np.concatenate([found[10:], near[3:]]))
    order = [*made, rng.integers(len(pool.passage_origin))]
    order += [*rng.permutation(found[:10])[:2], *near[:3], *rest, *found]
    picked = dict.fromkeys(int(passage) for passage in order if passage >= 0)
    return np.array(list(picked)[:size])


def target(pool: Pool, query: int, group: np.ndarray, lexical: float) -> np.ndarray:
    """The teachers' scores: cosine over its temperature, plus weighted BM25; the twin below."""
    scores = 20 * pool.teachers.cosines(query, group)
    if lexical:
        scores += lexical * pool.teachers.bm25(query, group)
    return scores - pool.gap[query] * (group == pool.wrong[query])


def chunks(pairs: list[tuple[np.ndarray, np.ndarray]], tokens: int, shifts: np.ndarray | None):
    """Splits pairs of (query ids, passage ids) by length into chunks of about `tokens` tokens.

    Yields (indices, arguments of the model). `shifts` moves passages to later positions, so that
    short passages train all positions."""
    lengths = np.array([len(q) + len(p) + 3 for q, p in pairs])
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        end = start + 1
        while end < len(order) and lengths[order[end]] * (end + 1 - start) <= tokens:
            end += 1
        yield order[start:end], tensors(pairs, order[start:end], lengths, shifts)
        start = end


def tensors(pairs, rows, lengths, shifts):
    longest = int(lengths[rows].max())
    ids, segments = (np.zeros((len(rows), longest), np.int64) for _ in range(2))
    positions = np.tile(np.arange(longest), (len(rows), 1))
    for row, pair in enumerate(rows):
        query, passage = pairs[pair]
        begin, length = len(query) + 2, lengths[pair]
        ids[row, 0] = CLS
        ids[row, 1 : begin - 1] = query
        ids[row, begin - 1] = SEP
        ids[row, begin : length - 1] = passage
        ids[row, length - 1] = SEP
        segments[row, begin:length] = 1
        if shifts is not None:
            positions[row, begin:] += min(shifts[pair], POSITIONS - longest)
    return tuple(map(torch.from_numpy, (ids, segments, positions, lengths[rows])))
