"""Adapters for libraries that expect a reranker. Each class needs its library, which is imported
when the class is first used:

    from lanerank.integrations import LangChainReranker   # langchain-core: BaseDocumentCompressor
    from lanerank.integrations import LlamaIndexReranker  # llama-index-core: BaseNodePostprocessor
    from lanerank.integrations import HaystackRanker      # haystack-ai: a component
    from lanerank.integrations import RerankersRanker     # rerankers: BaseRanker

All take `model_name`, `cache_dir` and `max_length` as lanerank.Ranker does, or an existing Ranker
as `ranker`. None of them changes the documents that it is given.
"""

import sys

from ._models import needs


def _langchain():
    from collections.abc import Sequence
    from typing import Any, Optional

    from langchain_core.callbacks import Callbacks
    from langchain_core.documents import BaseDocumentCompressor, Document
    from pydantic import ConfigDict, Field

    from lanerank import Ranker

    class LangChainReranker(BaseDocumentCompressor):
        """Returns the `top_n` documents that answer the query best (None: all), best first, without
        those below `score_threshold`. Adds `relevance_score` to each document's metadata."""

        model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

        model_name: Optional[str] = None
        cache_dir: Optional[str] = None
        max_length: Optional[int] = None
        top_n: Optional[int] = Field(default=3, ge=0)
        score_threshold: Optional[float] = None
        ranker: Any = Field(default=None, exclude=True, repr=False)

        def model_post_init(self, context: Any) -> None:
            if self.ranker is None:
                self.ranker = Ranker(self.model_name, self.cache_dir, self.max_length)

        def compress_documents(
            self, documents: Sequence[Document], query: str, callbacks: Optional[Callbacks] = None
        ) -> Sequence[Document]:
            documents = list(documents)
            hits = self.ranker.rank(query, [d.page_content for d in documents], self.top_n)
            return [
                documents[hit.index].model_copy(
                    update={
                        "metadata": {**documents[hit.index].metadata, "relevance_score": hit.score}
                    }
                )
                for hit in _at_least(self.score_threshold, hits)
            ]

    return LangChainReranker


def _llama_index():
    from typing import Any, List, Optional

    from llama_index.core.bridge.pydantic import Field, PrivateAttr
    from llama_index.core.callbacks import CBEventType, EventPayload
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle

    from lanerank import Ranker

    class LlamaIndexReranker(BaseNodePostprocessor):
        """Returns the `top_n` nodes that answer the query best (None: all), best first, with their
        scores. A node's text is its text for embeddings: content and metadata."""

        model_name: Optional[str] = Field(default=None, description="Path or name of the model.")
        cache_dir: Optional[str] = Field(default=None, description="Folder of models.")
        max_length: Optional[int] = Field(
            default=None, description="Maximum length of a pair, in tokens."
        )
        top_n: Optional[int] = Field(default=2, ge=0, description="Number of nodes to return.")
        _ranker: Any = PrivateAttr()

        def __init__(
            self,
            model_name: Optional[str] = None,
            cache_dir: Optional[str] = None,
            max_length: Optional[int] = None,
            top_n: Optional[int] = 2,
            ranker: Optional[Ranker] = None,
            **kwargs: Any,
        ) -> None:
            super().__init__(
                model_name=model_name,
                cache_dir=cache_dir,
                max_length=max_length,
                top_n=top_n,
                **kwargs,
            )
            self._ranker = ranker or Ranker(model_name, cache_dir, max_length)

        @classmethod
        def class_name(cls) -> str:
            return "LlamaIndexReranker"

        def _postprocess_nodes(
            self, nodes: List[NodeWithScore], query_bundle: Optional[QueryBundle] = None
        ) -> List[NodeWithScore]:
            if query_bundle is None:
                raise ValueError("no query to rank by")
            query = query_bundle.query_str
            payload = {
                EventPayload.NODES: nodes,
                EventPayload.MODEL_NAME: self.model_name or "lanerank",
                EventPayload.QUERY_STR: query,
                EventPayload.TOP_K: self.top_n,
            }
            with self.callback_manager.event(CBEventType.RERANKING, payload=payload) as event:
                texts = [node.node.get_content(metadata_mode=MetadataMode.EMBED) for node in nodes]
                hits = self._ranker.rank(query, texts, self.top_n)
                best = [NodeWithScore(node=nodes[hit.index].node, score=hit.score) for hit in hits]
                event.on_end(payload={EventPayload.NODES: best})
            return best

    return LlamaIndexReranker


def _haystack():
    from dataclasses import replace
    from typing import Any, Optional

    from haystack import Document, component, default_from_dict, default_to_dict

    from lanerank import Ranker

    @component
    class HaystackRanker:
        """Returns the `top_k` documents that answer the query best (None: all), best first, with
        their scores, without those below `score_threshold`. `warm_up` or the first run opens the
        model."""

        def __init__(
            self,
            model_name: Optional[str] = None,
            cache_dir: Optional[str] = None,
            max_length: Optional[int] = None,
            top_k: Optional[int] = 10,
            score_threshold: Optional[float] = None,
            ranker: Optional[Ranker] = None,
        ) -> None:
            self.model_name = model_name
            self.cache_dir = cache_dir
            self.max_length = max_length
            self.top_k = _count("top_k", top_k)
            self.score_threshold = score_threshold
            self._given = ranker
            self._ranker = ranker

        def warm_up(self) -> None:
            """Opens the model."""
            if self._ranker is None:
                self._ranker = Ranker(self.model_name, self.cache_dir, self.max_length)

        def to_dict(self) -> dict[str, Any]:
            """For serialised pipelines. A component with an existing `ranker` cannot be
            serialised."""
            if self._given is not None:
                raise ValueError(
                    "a HaystackRanker made with ranker= cannot be serialised; name its model"
                )
            return default_to_dict(
                self,
                model_name=self.model_name,
                cache_dir=self.cache_dir,
                max_length=self.max_length,
                top_k=self.top_k,
                score_threshold=self.score_threshold,
            )

        @classmethod
        def from_dict(cls, data: dict[str, Any]) -> "HaystackRanker":
            """The reverse of to_dict."""
            return default_from_dict(cls, data)

        @component.output_types(documents=list[Document])
        def run(
            self,
            query: str,
            documents: list[Document],
            top_k: Optional[int] = None,
            score_threshold: Optional[float] = None,
        ) -> dict[str, Any]:
            """Ranks documents. `top_k` and `score_threshold` override those of the component."""
            self.warm_up()
            most = self.top_k if top_k is None else _count("top_k", top_k)
            least = self.score_threshold if score_threshold is None else score_threshold
            hits = self._ranker.rank(
                query, [document.content or "" for document in documents], most
            )
            best = [
                replace(documents[hit.index], score=hit.score) for hit in _at_least(least, hits)
            ]
            return {"documents": best}

    return HaystackRanker


def _rerankers():
    from typing import List, Optional, Union

    from rerankers.documents import Document
    from rerankers.models.ranker import BaseRanker
    from rerankers.results import RankedResults, Result
    from rerankers.utils import prep_docs

    from lanerank import Ranker

    class RerankersRanker(BaseRanker):
        """lanerank in place of the engines that `rerankers.Reranker` knows."""

        ranking_type = "pointwise"

        def __init__(
            self,
            model_name_or_path: Optional[str] = None,
            verbose: int = 1,
            cache_dir: Optional[str] = None,
            max_length: Optional[int] = None,
            ranker: Optional[Ranker] = None,
        ) -> None:
            self.verbose = verbose
            self.model = ranker or Ranker(model_name_or_path, cache_dir, max_length)

        def rank(
            self,
            query: str,
            docs: Union[str, List[str], Document, List[Document]],
            doc_ids: Optional[Union[List[str], List[int]]] = None,
            metadata: Optional[List[dict]] = None,
        ) -> RankedResults:
            # prep_docs inspects the first document.
            documents = prep_docs(docs, doc_ids, metadata) if docs else []
            hits = self.model.rank(query, [document.text for document in documents])
            results = [
                Result(document=documents[hit.index], score=hit.score, rank=rank)
                for rank, hit in enumerate(hits, 1)
            ]
            return RankedResults(results=results, query=query, has_scores=True)

        def score(self, query: str, doc: str) -> float:
            return self.model.scores(query, [doc])[0]

    return RerankersRanker


def _at_least(threshold, hits):
    return [hit for hit in hits if threshold is None or hit.score >= threshold]


def _count(name, value):
    if value is not None and value < 0:
        raise ValueError(f"{name} is {value}, less than 0")
    return value


_MADE_BY = {
    "HaystackRanker": (_haystack, "haystack-ai"),
    "LangChainReranker": (_langchain, "langchain-core"),
    "LlamaIndexReranker": (_llama_index, "llama-index-core"),
    "RerankersRanker": (_rerankers, "rerankers"),
}
__all__ = sorted(_MADE_BY)


def __getattr__(name):
    if name not in _MADE_BY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    make, package = _MADE_BY[name]
    with needs(f"lanerank.integrations.{name}", package):
        made = make()
    # Pickled instances and serialised pipelines look the class up by this name.
    made.__qualname__ = name
    globals().setdefault(name, made)
    return globals()[name]


def __dir__():
    return sorted({*globals(), *__all__})


# Haystack looks up a pipeline's classes among those that imports have defined.
if "haystack" in sys.modules:
    __getattr__("HaystackRanker")
