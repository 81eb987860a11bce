#!/usr/bin/env python3
"""Third-party clients against `lanerank serve`.

    pip install -r tools/server/checks/requirements-clients.txt
    python tools/server/checks/check_clients.py target/release/lanerank [--only cohere ...]

dify and Open WebUI have a venv of their own each: `--only dify` with requirements-dify.txt,
`--only open_webui` with what `pip install --no-deps -r requirements-open-webui.txt` installs.

The clients: the cohere SDK (v1 and v2), LangChain's Jina and Cohere rerankers, LlamaIndex's TEI
reranker, LiteLLM (five providers), Haystack's Jina and Cohere rankers, the rerankers of dify and
Open WebUI, and the openai SDK. Each must return the order and, but for dify, bit for bit as f32,
the scores of `lanerank rerank` on the same texts, and must understand our errors. The model is the
embedded one; vectors come from tests/data/model/mean-pooled.
"""

import argparse, json, math, os, subprocess, sys, tempfile
from common import ROOT, Server, f32, known_scores

QUERY = "how do I keep bread fresh"
TEXTS = [
    "The lighthouse was built in 1847.",
    "The refrigerator dries bread out; a paper bag in a box keeps it longest.",
    "How to bake bread in a cast iron pot",
    "Toast is bread that has been browned by heat; stale bread makes the best toast. " * 3,
    "naïve café, 東京, 🍞",
]
MODEL = "rerank-v3.5"


def expected(binary):
    """(index, score) from the command line, best first."""
    scores = known_scores(binary, QUERY, TEXTS)
    return sorted(enumerate(scores), key=lambda hit: -hit[1])


def same(name, got, want):
    got = [(index, f32(score)) for index, score in got]
    assert got == want, f"{name}:\n  {got}\n  {want}"
    print(f"{name}: {len(got)} results, the same bits")


def fails(name, error, words, call):
    try:
        call()
    except error as e:
        assert words in str(e), f"{name}: {e}"
        print(f"{name}: {type(e).__name__}")
    else:
        raise AssertionError(f"{name}: no error")


def check_cohere(url, want):
    import cohere

    v1 = cohere.Client("a-token", base_url=url)
    for documents in [TEXTS, [{"text": t} for t in TEXTS]]:
        answer = v1.rerank(query=QUERY, documents=documents, model=MODEL, return_documents=True)
        same("cohere v1", [(r.index, r.relevance_score) for r in answer.results], want)
        assert [r.document.text for r in answer.results] == [TEXTS[i] for i, _ in want]
    assert answer.id and answer.meta.api_version.version == "1"
    v2 = cohere.ClientV2("a-token", base_url=url)
    answer = v2.rerank(query=QUERY, documents=TEXTS, model=MODEL, top_n=3)
    same("cohere v2", [(r.index, r.relevance_score) for r in answer.results], want[:3])
    fails(
        "cohere v2, unknown model",
        cohere.errors.NotFoundError,
        "no model",
        lambda: v2.rerank(query=QUERY, documents=TEXTS, model="none"),
    )
    fails(
        "cohere v2, no documents",
        cohere.errors.BadRequestError,
        "cannot be empty",
        lambda: v2.rerank(query=QUERY, documents=[], model=MODEL),
    )
    stranger = cohere.ClientV2("wrong", base_url=url)
    fails(
        "cohere v2, wrong token",
        cohere.errors.UnauthorizedError,
        "bearer token",
        lambda: stranger.rerank(query=QUERY, documents=TEXTS, model=MODEL),
    )


def check_langchain(url, want):
    from langchain_core.documents import Document
    from langchain_community.document_compressors import jina_rerank
    from langchain_cohere import CohereRerank

    documents = [Document(page_content=t, metadata={"n": i}) for i, t in enumerate(TEXTS)]
    jina_rerank.JINA_API_URL = url + "/v1/rerank"
    jina = jina_rerank.JinaRerank(jina_api_key="a-token", model=MODEL, top_n=4)
    cohere = CohereRerank(cohere_api_key="a-token", base_url=url, model=MODEL, top_n=4)
    for name, reranker in [("LangChain JinaRerank", jina), ("LangChain CohereRerank", cohere)]:
        ranked = reranker.compress_documents(documents, QUERY)
        same(name, [(d.metadata["n"], d.metadata["relevance_score"]) for d in ranked], want[:4])
    stranger = jina_rerank.JinaRerank(jina_api_key="wrong", model=MODEL)
    fails(
        "LangChain JinaRerank, wrong token",
        RuntimeError,
        "bearer token",
        lambda: stranger.compress_documents(documents, QUERY),
    )


def check_llama_index(url, want):
    from llama_index.core.schema import NodeWithScore, TextNode
    from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

    nodes = [
        NodeWithScore(node=TextNode(text=t, id_=str(i)), score=0.0) for i, t in enumerate(TEXTS)
    ]
    reranker = TextEmbeddingInference(base_url=url, top_n=3, auth_token="Bearer a-token")
    ranked = reranker.postprocess_nodes(nodes, query_str=QUERY)
    same(
        "LlamaIndex TextEmbeddingInference",
        [(int(n.node.node_id), n.score) for n in ranked],
        want[:3],
    )


def check_litellm(url, want):
    """Each provider of LiteLLM has an address and a shape of its own."""
    # No download of prices.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    def rerank(provider, model=MODEL, key="a-token", **options):
        answer = litellm.rerank(
            model=f"{provider}/{model}",
            query=QUERY,
            documents=TEXTS,
            api_base=url,
            api_key=key,
            **options,
        )
        return [(r["index"], r["relevance_score"]) for r in answer.results]

    for provider in ["cohere", "jina_ai", "hosted_vllm", "infinity", "huggingface"]:
        # Infinity returns documents as strings, and this provider reads nothing else. Without them
        # it reads our answer.
        options = {"return_documents": False} if provider == "infinity" else {}
        got = rerank(provider, top_n=3, **options)
        same(f"LiteLLM {provider}", sorted(got, key=lambda hit: -hit[1])[:3], want[:3])
    fails(
        "LiteLLM hosted_vllm, wrong token",
        Exception,
        "bearer token",
        lambda: rerank("hosted_vllm", key="wrong"),
    )


def check_haystack(url, want):
    from haystack import Document
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.cohere import CohereRanker
    from haystack_integrations.components.rankers.jina import JinaRanker

    documents = [Document(id=str(i), content=text) for i, text in enumerate(TEXTS)]
    token = Secret.from_token("a-token")
    jina = JinaRanker(model=MODEL, api_key=token, base_url=f"{url}/v1/rerank", top_k=3)
    cohere = CohereRanker(model=MODEL, api_key=token, api_base_url=url, top_k=3)
    for ranker in [jina, cohere]:
        ranked = ranker.run(query=QUERY, documents=documents)["documents"]
        same(
            f"Haystack {type(ranker).__name__}",
            [(int(document.id), document.score) for document in ranked],
            want[:3],
        )


def check_dify(url, want):
    """The reranker of dify's plugins for servers with an OpenAI-like address. In a process of its
    own, because importing it patches threads and sockets."""
    call = """
import json, sys
from dify_plugin.interfaces.model.openai_compatible.rerank import OAICompatRerankModel

url, model, query, texts = json.loads(sys.argv[1])
credentials = {"endpoint_url": url + "/v1", "api_key": "a-token"}
rerank = OAICompatRerankModel([])
rerank.validate_credentials(model, credentials)
answer = rerank._invoke(model, credentials, query, texts, top_n=len(texts))
print(json.dumps([document.index for document in answer.docs]))
"""
    arguments = json.dumps([url, MODEL, QUERY, TEXTS])
    command = [sys.executable, "-c", call, arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    # dify scales scores to 0..1 over the answer, so the order is compared.
    got = json.loads(done.stdout.splitlines()[-1])
    assert got == [index for index, _ in want], f"dify: {got}"
    print(f"dify: {len(got)} results, the same order")


def check_open_webui(url, want):
    """Open WebUI's external reranker, from its package without the hundred packages that the whole
    application needs: its settings are replaced by their defaults."""
    call = """
import importlib.util, json, sys, types

def replace(name, **values):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__dict__.update(values)

folders = importlib.util.find_spec("open_webui").submodule_search_locations
replace("open_webui", __path__=folders)
replace("open_webui.env", ENABLE_FORWARD_USER_INFO_HEADERS=False, REQUESTS_VERIFY=True)
replace("open_webui.utils", __path__=[])
replace("open_webui.utils.headers", include_user_info_headers=None)
from open_webui.retrieval.models.external import ExternalReranker

url, model, query, texts = json.loads(sys.argv[1])
for path in ["/v1/rerank", "/rerank"]:
    reranker = ExternalReranker("a-token", url + path, model)
    print(json.dumps(reranker.predict([(query, text) for text in texts])))
"""
    arguments = json.dumps([url, MODEL, QUERY, TEXTS])
    command = [sys.executable, "-c", call, arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    for scores in map(json.loads, done.stdout.splitlines()):
        assert scores, done.stderr
        ranked = sorted(enumerate(scores), key=lambda hit: -hit[1])
        same("Open WebUI", ranked, want)


def check_openai(url, binary, encoder):
    import openai

    client = openai.OpenAI(base_url=url + "/v1", api_key="a-token", max_retries=0)
    lines = "".join(json.dumps(t) + "\n" for t in TEXTS)
    command = [binary, "embed", "--model", encoder]
    out = subprocess.run(command, input=lines, capture_output=True, text=True, check=True).stdout
    want = [[f32(x) for x in json.loads(line)] for line in out.splitlines()]
    # The SDK asks for base64 unless told otherwise.
    for options in [{}, {"encoding_format": "float"}]:
        answer = client.embeddings.create(model="encoder", input=TEXTS, **options)
        assert [[f32(x) for x in d.embedding] for d in answer.data] == want
    assert answer.usage.total_tokens > 20
    print(f"openai: {len(want)} vectors, the same bits")
    fails(
        "openai, cross-encoder",
        openai.UnprocessableEntityError,
        "cross-encoder",
        lambda: client.embeddings.create(model=MODEL, input="a"),
    )
    assert {m.id for m in client.models.list()} == {MODEL, "encoder"}


def check_plain(server, want):
    """TEI's own parameters, over plain HTTP."""
    token = {"authorization": "Bearer a-token"}
    answer = server.post("/rerank", {"query": QUERY, "texts": TEXTS}, token)
    same("TEI", [(r["index"], r["score"]) for r in answer], want)
    raw = server.post("/rerank", {"query": QUERY, "texts": TEXTS, "raw_scores": True}, token)
    for r, logit in zip(answer, raw):
        assert abs(r["score"] - 1 / (1 + math.exp(-logit["score"]))) < 1e-6


def main():
    clients = ["plain", "cohere", "langchain", "llama_index", "litellm", "haystack", "openai"]
    clients += ["dify", "open_webui"]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("binary")
    parser.add_argument(
        "--only", nargs="+", choices=clients, default=clients, help="clients to check"
    )
    args = parser.parse_args()
    binary = args.binary
    with tempfile.TemporaryDirectory() as tmp:
        encoder, embedded = f"{tmp}/e.lane", ROOT / "src/assets/default.lane"
        source = ROOT / "tests/data/model/mean-pooled"
        subprocess.run([binary, "convert", source, "-o", encoder], check=True, capture_output=True)
        models = ["--model", f"{MODEL}={embedded}", "--model", f"encoder={encoder}"]
        want = expected(binary)
        with Server(binary, *models, "--token", "a-token") as server:
            checks = {
                "plain": lambda: check_plain(server, want),
                "cohere": lambda: check_cohere(server.url, want),
                "langchain": lambda: check_langchain(server.url, want),
                "llama_index": lambda: check_llama_index(server.url, want),
                "litellm": lambda: check_litellm(server.url, want),
                "haystack": lambda: check_haystack(server.url, want),
                "dify": lambda: check_dify(server.url, want),
                "open_webui": lambda: check_open_webui(server.url, want),
                "openai": lambda: check_openai(server.url, binary, encoder),
            }
            for client in args.only:
                checks[client]()


if __name__ == "__main__":
    main()
