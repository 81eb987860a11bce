"""Candidates of every query: what a search engine would find, by words and by meaning.

A large source is a collection by itself, the small ones are one collection together.
"""

import time
from pathlib import Path

import bm25s
import numpy as np
import Stemmer
import torch

DEPTH, NEAREST = 20, 12
LARGE = 6000


def collections(passage_origin: np.ndarray, query_origin: np.ndarray):
    """(passages, queries) of each collection."""
    sizes = np.bincount(passage_origin)
    group = np.where(sizes >= LARGE, np.arange(len(sizes)), -1)
    for number in np.unique(group):
        queries = np.flatnonzero(group[query_origin] == number)
        if len(queries):
            yield np.flatnonzero(group[passage_origin] == number), queries


def bm25(
    passages: list[str], passage_origin: np.ndarray, queries: list[str], query_origin: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """BM25's best DEPTH passages of every query, and their scores."""
    stemmer = Stemmer.Stemmer("english")

    def cut(texts):
        return bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)

    candidates = np.zeros((len(queries), DEPTH), np.int32)
    scores = np.zeros((len(queries), DEPTH), np.float32)
    for where, asking in collections(passage_origin, query_origin):
        started = time.monotonic()
        engine = bm25s.BM25(k1=0.9, b=0.4, backend="numba")
        engine.index(cut([passages[i] for i in where]), show_progress=False)
        for start in range(0, len(asking), 20000):
            part = asking[start : start + 20000]
            words = cut([queries[i] for i in part])
            found, scored = engine.retrieve(words, k=DEPTH, n_threads=2, show_progress=False)
            candidates[part], scores[part] = where[found], scored
        seconds = time.monotonic() - started
        print(f"BM25: {len(where)} passages, {len(asking)} queries, {seconds:.0f} s", flush=True)
    return candidates, scores


@torch.inference_mode()
def nearest(folder: Path) -> None:
    """Writes near.npy: the NEAREST passages of every query by the teacher's cosine."""
    pool = np.load(folder / "pool.npz")
    passages, queries = (np.load(folder / f"{part}.npy") for part in ("passages", "queries"))
    found = np.zeros((len(queries), NEAREST), np.int32)
    origin = pool["origin"][: len(queries)]
    for where, asking in collections(pool["passage_origin"], origin):
        vectors = torch.from_numpy(passages[where]).bfloat16().T.contiguous()
        for start in range(0, len(asking), 2048):
            part = asking[start : start + 2048]
            cosines = torch.from_numpy(queries[part]).bfloat16() @ vectors
            found[part] = where[cosines.topk(NEAREST, sorted=False).indices.numpy()]
        print(f"nearest: {len(where)} passages, {len(asking)} queries", flush=True)
    np.save(folder / "near.npy", found)
