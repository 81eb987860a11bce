"""The native half of lanerank. Use the package around it."""

from collections.abc import Callable, Iterable, Sequence
from typing import final

__all__ = ["Encoder", "Hit", "HubError", "ModelError", "Ranker", "__version__", "run_cli"]

__version__: str

class ModelError(ValueError):
    """A model file or a source of one is damaged, or is of a kind that lanerank does not run."""

class HubError(OSError):
    """A model could not be downloaded: no connection, no permission, no such name."""

@final
class Hit:
    """A passage's rank and scores."""

    def __new__(
        cls,
        index: int,
        score: float,
        logit: float,
        fused: float | None = None,
        query_tokens_cut: int = 0,
        passage_tokens_cut: int = 0,
    ) -> Hit: ...
    @property
    def index(self) -> int:
        """Index of the passage in the request."""
    @property
    def score(self) -> float:
        """Relevance: 0 to 1 from a cross-encoder, the cosine from a sentence encoder."""
    @property
    def logit(self) -> float:
        """The model's output before the sigmoid."""
    @property
    def fused(self) -> float | None:
        """The blend with the first-stage score, if one was given. It determines the order."""
    @property
    def query_tokens_cut(self) -> int:
        """Tokens that truncation cut from the query."""
    @property
    def passage_tokens_cut(self) -> int:
        """Tokens that truncation cut from the passage."""

@final
class Ranker:
    def __new__(
        cls,
        model: str | None = None,
        *,
        cache_dir: str | None = None,
        max_length: int | None = None,
        threads: int | None = None,
        dtype: str = "int8",
        offline: bool = False,
        notify: Callable[[str], object] | None = None,
    ) -> Ranker: ...
    @property
    def max_length(self) -> int: ...
    @property
    def isa(self) -> str: ...
    def scores(self, query: str, texts: Iterable[str]) -> list[float]: ...
    def order(self, query: str, passages: Iterable[str]) -> list[tuple[int, float]]: ...
    def rank(
        self,
        query: str,
        texts: Iterable[str],
        top_k: int | None = None,
        first_stage: Sequence[float] | None = None,
        weight: float = 0.5,
    ) -> list[Hit]: ...

@final
class Encoder:
    def __new__(
        cls,
        model: str,
        *,
        cache_dir: str | None = None,
        max_length: int | None = None,
        threads: int | None = None,
        dtype: str = "int8",
        offline: bool = False,
        notify: Callable[[str], object] | None = None,
    ) -> Encoder: ...
    @property
    def dimension(self) -> int: ...
    def encode(self, texts: Iterable[str]) -> bytearray: ...

def run_cli(args: Sequence[str]) -> int: ...
