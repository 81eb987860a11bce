from collections.abc import Sequence
from typing import Any

from haystack import Document as _HaystackDocument
from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor
from langchain_core.documents import Document as _LangChainDocument
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle
from rerankers.documents import Document as _RerankersDocument
from rerankers.models.ranker import BaseRanker
from rerankers.results import RankedResults

from lanerank import Ranker

class LangChainReranker(BaseDocumentCompressor):
    model_name: str | None
    cache_dir: str | None
    max_length: int | None
    top_n: int | None
    score_threshold: float | None
    ranker: Ranker
    def __init__(
        self,
        *,
        model_name: str | None = None,
        cache_dir: str | None = None,
        max_length: int | None = None,
        top_n: int | None = 3,
        score_threshold: float | None = None,
        ranker: Ranker | None = None,
    ) -> None: ...
    def compress_documents(
        self,
        documents: Sequence[_LangChainDocument],
        query: str,
        callbacks: Callbacks | None = None,
    ) -> Sequence[_LangChainDocument]: ...

class LlamaIndexReranker(BaseNodePostprocessor):
    model_name: str | None
    cache_dir: str | None
    max_length: int | None
    top_n: int | None
    def __init__(
        self,
        model_name: str | None = None,
        cache_dir: str | None = None,
        max_length: int | None = None,
        top_n: int | None = 2,
        ranker: Ranker | None = None,
        **kwargs: Any,
    ) -> None: ...
    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]: ...

class HaystackRanker:
    model_name: str | None
    cache_dir: str | None
    max_length: int | None
    top_k: int | None
    score_threshold: float | None
    def __init__(
        self,
        model_name: str | None = None,
        cache_dir: str | None = None,
        max_length: int | None = None,
        top_k: int | None = 10,
        score_threshold: float | None = None,
        ranker: Ranker | None = None,
    ) -> None: ...
    def warm_up(self) -> None: ...
    def to_dict(self) -> dict[str, Any]: ...
    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> HaystackRanker: ...
    def run(
        self,
        query: str,
        documents: list[_HaystackDocument],
        top_k: int | None = None,
        score_threshold: float | None = None,
    ) -> dict[str, list[_HaystackDocument]]: ...

class RerankersRanker(BaseRanker):
    verbose: int
    model: Ranker
    def __init__(
        self,
        model_name_or_path: str | None = None,
        verbose: int = 1,
        cache_dir: str | None = None,
        max_length: int | None = None,
        ranker: Ranker | None = None,
    ) -> None: ...
    def rank(
        self,
        query: str,
        docs: str | list[str] | _RerankersDocument | list[_RerankersDocument],
        doc_ids: list[str] | list[int] | None = None,
        metadata: list[dict[str, Any]] | None = None,
    ) -> RankedResults: ...
    def score(self, query: str, doc: str) -> float: ...
