"""Each adapter with the real library. Needs requirements.txt and the wheel."""

import asyncio
import copy
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lanerank import Ranker, integrations

QUERY = "how do I keep bread fresh"
TEXTS = [
    "The lighthouse was built in 1847.",
    "The refrigerator dries bread out; a paper bag in a box keeps it longest.",
    "How to bake bread in a cast iron pot",
]
ORDER = [1, 2, 0]


@pytest.fixture(scope="module")
def ranker():
    return Ranker()


@pytest.fixture(scope="module")
def scores(ranker):
    return ranker.scores(QUERY, TEXTS)


def test_langchain(ranker, scores):
    from langchain_core.documents import BaseDocumentCompressor, Document

    documents = [
        Document(page_content=text, metadata={"line": i}, id=str(i)) for i, text in enumerate(TEXTS)
    ]
    before = copy.deepcopy(documents)
    compressor = integrations.LangChainReranker(top_n=2)
    assert isinstance(compressor, BaseDocumentCompressor)
    found = compressor.compress_documents(documents, QUERY)
    expected = [
        Document(
            page_content=TEXTS[i], metadata={"line": i, "relevance_score": scores[i]}, id=str(i)
        )
        for i in ORDER
    ]
    assert found == expected[:2] and documents == before
    assert asyncio.run(compressor.acompress_documents(documents, QUERY)) == found
    everything = integrations.LangChainReranker(ranker=ranker, top_n=None)
    assert everything.compress_documents(tuple(documents), query=QUERY) == expected
    assert everything.compress_documents([], QUERY) == []
    some = integrations.LangChainReranker(ranker=ranker, score_threshold=scores[1])
    assert some.compress_documents(documents, QUERY) == expected[:1]
    assert pickle.loads(pickle.dumps(compressor)).compress_documents(documents, QUERY) == found
    with pytest.raises(ValueError):
        integrations.LangChainReranker(topn=3)


def test_langchain_in_a_chain(scores):
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import RunnableLambda

    class Everything(BaseRetriever):
        def _get_relevant_documents(self, query, *, run_manager):
            return [Document(page_content=text) for text in TEXTS]

    compressor = integrations.LangChainReranker(top_n=1)
    rerank = RunnableLambda(
        lambda query: compressor.compress_documents(Everything().invoke(query), query)
    )
    [best] = rerank.invoke(QUERY)
    assert best.page_content == TEXTS[1] and best.metadata == {"relevance_score": scores[1]}


def test_llama_index(ranker, scores):
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

    nodes = [
        NodeWithScore(node=TextNode(text=text, id_=str(i)), score=0.25)
        for i, text in enumerate(TEXTS)
    ]
    reranker = integrations.LlamaIndexReranker()
    assert isinstance(reranker, BaseNodePostprocessor)
    found = reranker.postprocess_nodes(nodes, query_str=QUERY)
    assert [(node.node_id, node.score) for node in found] == [
        (str(i), scores[i]) for i in ORDER[:2]
    ]
    assert [node.score for node in nodes] == [0.25] * 3
    everything = integrations.LlamaIndexReranker(ranker=ranker, top_n=None)
    found = asyncio.run(everything.apostprocess_nodes(nodes, QueryBundle(QUERY)))
    assert [node.node_id for node in found] == [str(i) for i in ORDER]
    assert everything.postprocess_nodes([], query_str=QUERY) == []
    with pytest.raises(ValueError, match="no query"):
        reranker.postprocess_nodes(nodes)


def test_llama_index_written_down(scores):
    from llama_index.core.schema import NodeWithScore, TextNode

    nodes = [NodeWithScore(node=TextNode(text=text)) for text in TEXTS]
    reranker = integrations.LlamaIndexReranker(max_length=64, top_n=1)
    written = reranker.to_dict()
    assert written["class_name"] == "LlamaIndexReranker"
    for other in (
        integrations.LlamaIndexReranker.from_dict(written),
        pickle.loads(pickle.dumps(reranker)),
    ):
        assert (other.max_length, other.top_n) == (64, 1)
        [best] = other.postprocess_nodes(nodes, query_str=QUERY)
        assert (best.text, best.score) == (TEXTS[1], scores[1])


def test_llama_index_reads_metadata_as_an_embedding_does(ranker):
    from llama_index.core.schema import NodeWithScore, TextNode

    nodes = [NodeWithScore(node=TextNode(text=TEXTS[0], metadata={"title": TEXTS[1]}))]
    [found] = integrations.LlamaIndexReranker(ranker=ranker).postprocess_nodes(
        nodes, query_str=QUERY
    )
    assert found.score == ranker.scores(QUERY, [f"title: {TEXTS[1]}\n\n{TEXTS[0]}"])[0]


def test_haystack(ranker, scores):
    from haystack import Document

    documents = [
        Document(content=text, meta={"line": i}, score=0.25) for i, text in enumerate(TEXTS)
    ]
    before = copy.deepcopy(documents)
    found = integrations.HaystackRanker().run(query=QUERY, documents=documents)["documents"]
    assert [(d.content, d.meta, d.score) for d in found] == [
        (TEXTS[i], {"line": i}, scores[i]) for i in ORDER
    ]
    assert [d.id for d in found] == [documents[i].id for i in ORDER] and documents == before
    given = integrations.HaystackRanker(ranker=ranker, top_k=2, score_threshold=scores[1])

    def run(**options):
        return [d.content for d in given.run(QUERY, documents, **options)["documents"]]

    assert run() == [TEXTS[1]] and run(score_threshold=0.0) == [TEXTS[1], TEXTS[2]]
    assert run(score_threshold=0.0, top_k=3) == [TEXTS[i] for i in ORDER] and run(top_k=0) == []
    assert given.run(QUERY, [])["documents"] == []
    with pytest.raises(ValueError, match="top_k"):
        run(top_k=-1)
    with pytest.raises(ValueError, match="ranker="):
        given.to_dict()


def test_haystack_in_a_pipeline_that_is_written_down(scores):
    from haystack import Document, Pipeline
    from haystack.components.retrievers import InMemoryBM25Retriever
    from haystack.document_stores.in_memory import InMemoryDocumentStore

    store = InMemoryDocumentStore()
    store.write_documents([Document(content=text) for text in TEXTS])
    pipeline = Pipeline()
    pipeline.add_component("retriever", InMemoryBM25Retriever(store))
    pipeline.add_component("ranker", integrations.HaystackRanker(top_k=2))
    pipeline.connect("retriever.documents", "ranker.documents")
    data = {"retriever": {"query": QUERY}, "ranker": {"query": QUERY}}
    found = pipeline.run(data)["ranker"]["documents"]
    assert [(d.content, d.score) for d in found] == [(TEXTS[i], scores[i]) for i in ORDER[:2]]
    # Haystack reads only classes of trusted modules.
    written = Pipeline.loads(pipeline.dumps(), allowed_modules=["lanerank.integrations"])
    assert written.get_component("ranker").to_dict() == pipeline.get_component("ranker").to_dict()
    # In a process that has not used the class yet.
    code = (
        "import sys; from haystack import Pipeline; "
        "pipeline = Pipeline.loads(sys.stdin.read(), allowed_modules=['lanerank.integrations']); "
        "print(pipeline.get_component('ranker').top_k)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=pipeline.dumps(), capture_output=True, text=True
    )
    assert done.stdout.strip() == "2", done.stderr


def test_rerankers(ranker, scores):
    from rerankers import Document
    from rerankers.models.ranker import BaseRanker
    from rerankers.results import RankedResults, Result

    reranker = integrations.RerankersRanker()
    assert isinstance(reranker, BaseRanker)
    found = reranker.rank(QUERY, TEXTS)
    assert isinstance(found, RankedResults) and all(isinstance(result, Result) for result in found)
    assert found.query == QUERY and found.has_scores and found.results_count() == 3
    expected = [(i, scores[i], rank, TEXTS[i]) for rank, i in enumerate(ORDER, 1)]
    assert [(r.doc_id, r.score, r.rank, r.text) for r in found] == expected
    assert [result.doc_id for result in found.top_k(2)] == ORDER[:2]
    assert found.get_score_by_docid(2) == scores[2] == reranker.score(QUERY, TEXTS[2])
    documents = [
        Document(text, doc_id=f"d{i}", metadata={"line": i}) for i, text in enumerate(TEXTS)
    ]
    given = integrations.RerankersRanker(ranker=ranker)
    found = given.rank(QUERY, documents)
    assert [(r.doc_id, r.line) for r in found] == [(f"d{i}", i) for i in ORDER]
    assert [r.doc_id for r in given.rank(QUERY, TEXTS, doc_ids=["x", "y", "z"])] == ["y", "z", "x"]
    assert given.rank(QUERY, TEXTS[0])[0].score == scores[0]
    assert given.rank(QUERY, []).results == []
    assert [r.doc_id for r in asyncio.run(given.rank_async(QUERY, TEXTS))] == ORDER


def test_nothing_is_imported_before_it_is_asked_for():
    code = (
        "import sys, lanerank.integrations as i; assert 'LangChainReranker' in dir(i); "
        "libraries = ('langchain_core', 'llama_index', 'haystack', 'rerankers', 'pydantic', "
        "'typing'); "
        "print(*(m for m in libraries if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
    with pytest.raises(AttributeError, match="Nothing"):
        integrations.Nothing


def test_types(tmp_path):
    """Runs mypy --strict on the package, and checks that it finds a caller's mistakes."""
    copied = tmp_path / "own" / "lanerank"
    shutil.copytree(Path(integrations.__file__).parent, copied)
    mypy = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        "--cache-dir",
        str(tmp_path / "cache"),
    ]
    # rerankers has no types.
    untyped = ["--allow-subclassing-any", "--disable-error-code", "import-untyped"]
    done = subprocess.run(
        [*mypy, *untyped, "-p", "lanerank"], capture_output=True, text=True, cwd=copied.parent
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # Compares the stub with the module.
    stubtest = [sys.executable, "-m", "mypy.stubtest", "lanerank._lanerank", "lanerank._models"]
    done = subprocess.run(stubtest, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    caller = tmp_path / "caller.py"
    caller.write_text(
        "from lanerank import Encoder, Ranker, RerankRequest\n"
        "from lanerank.integrations import LangChainReranker\n"
        "scores: list[float] = Ranker().scores('q', ['t'])\n"
        "ids: list[int] = [hit.index for hit in Ranker('m.lane').rank('q', ['t'], top_k=3)]\n"
        "best: dict[str, object] = Ranker().rerank(RerankRequest('q', [{'text': 't'}]))[0]\n"
        "shape: tuple[int, int] = Encoder('m.lane').encode(['t']).shape\n"
        "LangChainReranker(top_n=3)\n"
        "wrong: str = Ranker().scores('q', ['t'])\n"
        "Ranker().rerank(RerankRequest('q'), inplace='no')\n"
    )
    done = subprocess.run([*mypy, str(caller)], capture_output=True, text=True, cwd=tmp_path)
    lines = [line.split(":")[1] for line in done.stdout.splitlines() if ": error:" in line]
    assert sorted(set(lines)) == ["8", "9"], done.stdout
