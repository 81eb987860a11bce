"""Ranker and Encoder: FlashRank's interface and a plain one on top of the native module."""

from __future__ import annotations

import os

from . import _lanerank

# `typing` takes longer to import than the rest of this package.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Sequence
    from typing import Any, overload

    import numpy as np
else:

    def overload(function):
        return function


class needs:
    """A context that imports optional packages. A missing one becomes an error that names the
    command that installs it."""

    def __init__(self, user: str, packages: str) -> None:
        self.user, self.packages = user, packages

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, ModuleNotFoundError):
            raise ModuleNotFoundError(
                f"{self.user} needs {self.packages} ({error}): pip install {self.packages}",
                name=error.name,
            ) from error


class RerankRequest:
    """A query and the passages to rerank for it: dicts with `text` and any other keys."""

    def __init__(
        self, query: str | None = None, passages: list[dict[str, Any]] | None = None
    ) -> None:
        self.query = query
        self.passages: list[dict[str, Any]] = passages if passages is not None else []

    def __repr__(self) -> str:
        return f"RerankRequest(query={self.query!r}, passages={self.passages!r})"


class _Model:
    """Opens a model, and opens it again after an instance was sent to another process."""

    logger: logging.Logger

    def _open(
        self,
        native: type,
        model: str | os.PathLike[str] | None,
        cache_dir: str | os.PathLike[str] | None,
        max_length: int | None,
        threads: int | None,
        dtype: str,
        local_files_only: bool,
        log_level: str,
    ) -> Any:
        import logging

        self.logger = logging.getLogger("lanerank")
        self.logger.setLevel(getattr(logging, log_level.upper(), logging.INFO))
        if model is not None:
            model = os.fspath(model)
        if cache_dir is not None:
            cache_dir = os.path.abspath(cache_dir)
        self._arguments = {
            "cache_dir": cache_dir,
            "max_length": max_length,
            "log_level": log_level,
            "threads": threads,
            "dtype": dtype,
            "local_files_only": local_files_only,
        }
        self._name = _anywhere(model, cache_dir)
        return native(
            model,
            cache_dir=cache_dir,
            max_length=max_length,
            threads=threads,
            dtype=dtype,
            offline=local_files_only,
            notify=self.logger.info,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self._name, self._arguments)


def _anywhere(model: str | None, cache_dir: str | None) -> str | None:
    """A name for the same model in a process with another working directory."""
    if model is None or not os.path.exists(model):
        return model
    if cache_dir is not None:
        kept = os.path.join(cache_dir, model)
        if os.path.isdir(kept) or os.path.isfile(f"{kept}.zip"):
            return model
    return os.path.abspath(model)


def _restore(kind: type, name: str | None, arguments: dict[str, Any]) -> Any:
    return kind(name, **arguments)


class Ranker(_Model):
    """Scores passages for a query with a cross-encoder, or by cosine with a sentence encoder.

    `Ranker()` runs the model inside the package: no file, no network. Otherwise `model_name` (or
    its alias `model_id`) is looked up in this order:

    1. a folder with this name in FlashRank's `cache_dir`;
    2. the path of a `.lane` file, of a model folder or of a zip of one;
    3. a name such as "ms-marco-MiniLM-L-12-v2", or `org/name[@revision]`, in the model caches of
       this machine;
    4. the same name on the Hugging Face hub.

    So a name that is not on this machine is downloaded once, as FlashRank does, unless
    `local_files_only` or HF_HUB_OFFLINE=1 forbids it. A model in another format than `.lane` is
    converted on first use, and the converted file is kept.

    Args:
        model_name: The model. None: the one inside the package, or FlashRank's default model if it
            is in `cache_dir`.
        cache_dir: Folder of models; converted ones are in its folder `lanerank`. None: the Hugging
            Face cache, and LANERANK_CACHE for converted ones.
        max_length: Maximum length of query and passage together, in tokens. Limit and default: the
            model's.
        log_level: Level of the logger "lanerank". INFO messages announce slow work.
        threads: Threads per request. None: as many as this process may use.
        dtype: Dtype of converted weights: "int8", "f16" or "f32".
        local_files_only: Never use the network.

    Raises:
        FileNotFoundError, OSError: A file does not exist or cannot be read.
        ModelError: A file is damaged, or a model is of a kind that lanerank does not run.
        HubError: A name is not on this machine and could not be downloaded.
        ValueError: An argument is out of range, or the name is invalid.

    One instance serves any number of threads at once; scoring releases the interpreter lock. It
    pickles as the path or name of its model, and survives `fork`.
    """

    def __init__(
        self,
        model_name: str | os.PathLike[str] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        max_length: int | None = None,
        log_level: str = "INFO",
        *,
        model_id: str | os.PathLike[str] | None = None,
        threads: int | None = None,
        dtype: str = "int8",
        local_files_only: bool = False,
    ) -> None:
        if model_name is not None and model_id is not None:
            raise TypeError("model_name and model_id are two names for one argument")
        self._native: _lanerank.Ranker = self._open(
            _lanerank.Ranker,
            model_name if model_id is None else model_id,
            cache_dir,
            max_length,
            threads,
            dtype,
            local_files_only,
            log_level,
        )

    @property
    def max_length(self) -> int:
        """Maximum length of query and passage together, in tokens, with special tokens."""
        return self._native.max_length

    @property
    def isa(self) -> str:
        """The kernel tier in use, such as "avx2"; LANERANK_ISA forces another."""
        return self._native.isa

    def __repr__(self) -> str:
        return f"Ranker({self._name!r}, max_length={self.max_length})"

    @overload
    def rerank(
        self, request: RerankRequest, passages: None = None, *, inplace: bool = False
    ) -> list[dict[str, Any]]: ...
    @overload
    def rerank(
        self, request: str, passages: Sequence[str | dict[str, Any]], *, inplace: bool = False
    ) -> list[dict[str, Any]]: ...
    def rerank(
        self,
        request: RerankRequest | str,
        passages: Sequence[str | dict[str, Any]] | None = None,
        *,
        inplace: bool = False,
    ) -> list[dict[str, Any]]:
        """Ranks passages, best first, as FlashRank does.

        `rerank(RerankRequest(query, passages))` returns a new dict for each passage with a `score`
        added, a float. FlashRank writes into the caller's dicts and sorts the caller's list; this
        method does so only with `inplace=True`.

        `rerank(query, passages)` is FlashRank's older form: strings give
        `{"score": ..., "passage": ...}`, dicts the same as above.

        Raises:
            KeyError: A passage has no `text`.
            TypeError: A text or the query is not a str, or passages are not a list of them.
            KeyboardInterrupt: Ctrl-C was pressed. The ranker can be used again.
        """
        if isinstance(request, str):
            if passages is None:
                raise TypeError("rerank(query, passages) needs passages")
            query: Any = request
        else:
            if passages is not None:
                raise TypeError("rerank(request) has its passages in the request")
            query, passages = request.query, request.passages
        if inplace:
            _check_can_be_sorted(passages)
        given = _items(passages)
        order = self._native.order(query, [_text(i, passage) for i, passage in enumerate(given)])
        if inplace:
            return _sort_in_place(passages, order)
        return [_scored(given[index], score) for index, score in order]

    def scores(self, query: str, texts: Iterable[str]) -> list[float]:
        """The score of each text, in the order given: the sigmoid of the model's logit, or the
        cosine with a sentence encoder."""
        return self._native.scores(query, texts)

    def rank(
        self,
        query: str,
        texts: Iterable[str],
        top_k: int | None = None,
        *,
        first_stage: Sequence[float] | None = None,
        weight: float = 0.5,
    ) -> list[_lanerank.Hit]:
        """Ranks texts, best first. Equal scores keep the order given.

        `first_stage` is the search engine's score of each text. With it, texts are ordered by a
        blend (`Hit.fused`): the sum of both z-scores, ours times `weight`, theirs times 1 - weight.
        A small reranker and BM25 together are better than either alone.
        """
        return self._native.rank(query, texts, top_k, first_stage, weight)


def _items(passages: Any) -> list[Any]:
    # Each of these can be iterated, but not by passages: by characters, numbers or keys.
    wrong = isinstance(passages, (str, bytes, bytearray)) or hasattr(passages, "keys")
    try:
        if not wrong:
            return list(passages)
    except TypeError:
        if hasattr(passages, "__iter__"):
            raise
    raise TypeError(
        f"passages is {type(passages).__name__}, not a list of dict or str; for one passage, pass "
        "[passage]"
    )


def _text(index: int, passage: Any) -> Any:
    if isinstance(passage, str):
        return passage
    try:
        return passage["text"]
    except (KeyError, TypeError, IndexError):
        pass
    if hasattr(passage, "keys"):
        raise KeyError(f"passages[{index}] has no 'text'")
    raise TypeError(f"passages[{index}] is {type(passage).__name__}, neither dict nor str")


def _scored(passage: Any, score: float) -> dict[str, Any]:
    if isinstance(passage, str):
        return {"score": score, "passage": passage}
    return {**passage, "score": score}


def _check_can_be_sorted(passages: Any) -> None:
    if not isinstance(passages, list):
        raise TypeError(f"inplace=True sorts a list, not {type(passages).__name__}")
    if any(isinstance(passage, str) for passage in passages):
        raise TypeError("inplace=True writes scores into dicts, not into strings")


def _sort_in_place(passages: Any, order: list[tuple[int, float]]) -> list[dict[str, Any]]:
    for index, score in order:
        passages[index]["score"] = score
    ranked: list[dict[str, Any]] = passages
    ranked[:] = [passages[index] for index, _ in order]
    return ranked


class Encoder(_Model):
    """Turns texts into vectors with a sentence encoder such as all-MiniLM-L6-v2.

    Arguments, errors, and the behaviour with threads and processes are those of Ranker, except that
    the model must be named: the one inside the package is not a sentence encoder.
    """

    def __init__(
        self,
        model_name: str | os.PathLike[str],
        cache_dir: str | os.PathLike[str] | None = None,
        max_length: int | None = None,
        log_level: str = "INFO",
        *,
        threads: int | None = None,
        dtype: str = "int8",
        local_files_only: bool = False,
    ) -> None:
        self._native: _lanerank.Encoder = self._open(
            _lanerank.Encoder,
            model_name,
            cache_dir,
            max_length,
            threads,
            dtype,
            local_files_only,
            log_level,
        )

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._native.dimension

    def __repr__(self) -> str:
        return f"Encoder({self._name!r}, dimension={self.dimension})"

    def encode(self, texts: Iterable[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        """A row of float32 for each text, in the order given. Normalised to unit length if the
        model says so. Needs numpy; encode_lists does not."""
        with needs("Encoder.encode", "numpy"):
            import numpy

        vectors = numpy.frombuffer(self._native.encode(texts), numpy.float32)
        return vectors.reshape(-1, self.dimension)

    def encode_lists(self, texts: Iterable[str]) -> list[list[float]]:
        """The same as lists, without numpy."""
        values: Any = memoryview(self._native.encode(texts)).cast("f").tolist()
        return [values[i : i + self.dimension] for i in range(0, len(values), self.dimension)]
