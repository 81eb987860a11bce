#!/usr/bin/env python3
"""Thousands of malformed requests against `lanerank serve`: no 5xx, no crash, no growth.

    python tools/server/checks/check_fuzz.py target/release/lanerank [--examples 400] [--minutes 0]

Bodies are truncated, mutated, nested, huge, with bad bytes and bad HTTP: many rank_fields, tiny
documents, arrays, odd `documents`, lone surrogates. Valid bodies in unusual form (paths with a
slash, `documents` on any route, scalars as strings) must get the scores of `lanerank rerank`.
--minutes repeats this with other bodies. Then schemathesis makes valid and invalid requests from
our /openapi.json and checks the answers against it. At the end the server must answer as before,
with every thread alive, and must never have had more than --memory resident.
"""

import argparse, http.client, json, random, socket, subprocess, sys, tempfile, time
import urllib.request
from pathlib import Path
from common import MEMORY, ROOT, Server, f32, known_scores

GOOD = {
    "/rerank": {
        "query": "keep bread",
        "texts": ["bread", "stone"],
        "truncate": True,
        "explain": True,
        "model": "default",
    },
    "/v1/rerank": {
        "query": "keep bread",
        "documents": ["bread", {"text": "stone"}],
        "top_n": 1,
        "model": "default",
    },
    "/v2/rerank": {"query": "keep bread", "documents": ["bread", "stone"], "max_tokens_per_doc": 5},
    "/v1/embeddings": {"input": ["bread"], "model": "encoder", "encoding_format": "base64"},
}
QUERY = "keep bread"
VALUES = [
    None,
    True,
    -1,
    0,
    1e400,
    2**63,
    2**64,
    -(2**70),
    1.5,
    "",
    "\0",
    "x" * 70000,
    [],
    {},
    [[]],
    [None],
    [1],
    {"a": {}},
]


# A missed deadline is a legal answer, and the only status from 500 up that a request can cause.
CONFIG = '[checks.not_a_server_error]\nexpected-statuses = ["2xx", "3xx", "4xx", "504"]\n'


def schemathesis(url, examples, folder):
    (folder / "schemathesis.toml").write_text(CONFIG)
    command = [
        Path(sys.executable).parent / "schemathesis",
        "--config-file",
        folder / "schemathesis.toml",
        "run",
        f"{url}/openapi.json",
        "--url",
        url,
        "--max-examples",
        str(examples),
        "--phases",
        "examples,coverage,fuzzing",
        "--mode",
        "all",
        "--checks",
        "not_a_server_error,status_code_conformance,content_type_conformance,"
        "response_schema_conformance,response_headers_conformance,unsupported_method",
        "--continue-on-failure",
        "--suppress-health-check",
        "all",
        "--seed",
        "1",
        "--no-color",
        "--generation-database",
        "none",
    ]
    # Schemathesis writes a cache of crashes into its working folder.
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    lines = done.stdout.splitlines()
    print("\n".join(lines[-25:] if done.returncode == 0 else lines))
    return done.returncode == 0


def mutated(body, random):
    """A request with one fault: a value, a field, some bytes."""
    body = json.loads(json.dumps(body))
    kind = random.randrange(5)
    if kind == 0:
        body[random.choice(list(body))] = random.choice(VALUES)
    elif kind == 1:
        body.pop(random.choice(list(body)))
    elif kind == 2:
        body[
            random.choice([
                "model",
                "deadline_ms",
                "on_deadline",
                "top_n",
                "rank_fields",
                "dimensions",
            ])
        ] = random.choice(VALUES)
    text = json.dumps(body).encode()
    if kind == 3:
        text = text[: random.randrange(len(text))]
    elif kind == 4:
        text = bytearray(text)
        for _ in range(random.randrange(1, 8)):
            text[random.randrange(len(text))] = random.randrange(256)
    return bytes(text)


def big():
    """Large or deeply nested bodies."""
    yield b'{"query":"a","texts":["' + b"x" * (3 << 20) + b'"]}'
    yield b'{"query":"a","texts":[' + b'"",' * 600000 + b'""]}'
    yield b"[" * 100000
    yield b'{"query":' + b'{"a":' * 50000
    yield b'{"query":"a","documents":[' + b'{"text":' * 200 + b"1" + b"}" * 200 + b"]}"
    yield b" " * (2 << 20)
    yield (
        b'{"query":"a b","explain":true,"model":"default","texts":['
        + b'"'
        + b"a " * 2000
        + b'",' * 300
        + b'""]}'
    )
    yield b'{"query":"a b","explain":true,"model":"default","texts":["' + b"a.b " * 400000 + b'"]}'
    yield b'{"query":"' + b"\\u0000" * 100000 + b'","texts":["' + "𝕭".encode() * 100000 + b'"]}'


TEXTS = ["A paper bag keeps bread.", "bread", "stone", "", "\u6771\u4eac", "a lighthouse of stone"]
RERANK = ["/rerank", "/reranking", "/v1/rerank", "/v1/reranking", "/v2/rerank"]


def hostile(dice):
    """A body of a kind that hurt a server once: many, tiny, nested or half of something."""
    text = lambda: dice.choice(TEXTS)
    many = dice.choice([1, 10, 1000, 1001, 100_000])
    kind = dice.randrange(7)
    if kind == 0:
        names = [f"f{dice.randrange(many)}" if dice.random() < 0.5 else "a" for _ in range(many)]
        documents = [{"a": text(), "f1": [1, {"b": None}], "text": "t"}] * dice.randrange(1, 1000)
        return json.dumps({"query": "q", "documents": documents, "rank_fields": names}).encode()
    if kind == 1:
        tiny = dice.choice([b'""', b'"a"', b"{}", b"1", b"[]", b"null", b'{"text":""}'])
        field = dice.choice([b"texts", b"documents", b"inputs"])
        return b'{"query":"a","' + field + b'":[' + b",".join([tiny] * many) + b"]}"
    if kind == 2:
        return dice.choice([
            json.dumps([{"text": text()}] * many),
            json.dumps([{"query": "q", "texts": TEXTS}]),
            json.dumps(TEXTS),
            "[" * many + "]" * many,
        ]).encode()
    if kind == 3:
        odd = [None, 1, [], {}, [text()], {"text": None}, {"text": [1]}, {"texts": "a"}, text()]
        documents = dice.choices(odd, k=dice.randrange(10))
        documents = dice.choice([documents, text(), {"0": text()}, None, {"text": text()}])
        query = dice.choice(["q", ["q"], None])
        return json.dumps({"query": query, "documents": documents}).encode()
    if kind == 4:
        odd = ["2", "true", "1.0", 1.0, 1e300, "-1", "", " 2", "0x2", "\u0662", True, [2], "NaN"]
        names = ["top_n", "top_k", "truncate", "return_text", "return_documents", "raw_scores"]
        names += ["deadline_ms", "max_tokens_per_doc", "explain", "max_chunks_per_doc"]
        body = {"query": "q", dice.choice(["texts", "documents"]): TEXTS}
        body |= {name: dice.choice(odd) for name in dice.choices(names, k=3)}
        return json.dumps(body).encode()
    if kind == 5:
        half = dice.choice(["\\ud800", "\\udc00", "\\ud83d x", "\\ud800\\ud800", "\\ud83c\\udf5e"])
        query, document = dice.choice([(half, "a"), ("a", half), (half, half)])
        field = dice.choice(["texts", "documents", half])
        return f'{{"query": "{query}", "{field}": ["{document}"]}}'.encode()
    return b'{"query":"' + b"a b " * dice.choice([1, 1000, 400_000]) + b'","texts":["a"]}'


def unusual(dice):
    """A valid request in an unusual form: path, body, and the texts that it ranks."""
    texts = dice.choices(TEXTS, k=dice.randrange(1, 12))
    path = dice.choice(RERANK)
    field = "texts" if path in RERANK[:2] and dice.random() < 0.5 else "documents"
    body = {"query": QUERY, field: texts, "model": "default"}
    if field == "documents":
        kind = dice.randrange(3)
        if kind == 0:
            body[field] = [{"text": text, "id": i} for i, text in enumerate(texts)]
        elif kind == 1:
            body[field] = [dice.choice([text, {"id": [], "text": text}]) for text in texts]
        count = len(texts) + 3
        body["top_n"] = dice.choice([count, str(count), float(count), None])
        body["return_documents"] = dice.choice([True, "false", 0, "1"])
    else:
        body["raw_scores"] = dice.choice([False, "false", 0, "0", 0.0])
        body["truncate"] = dice.choice([True, "true", 1, "1", 1.0])
    items = list(body.items())
    dice.shuffle(items)
    return path + dice.choice(["", "/"]), dict(items), texts


def ask(address, path, body, texts, scores, statuses):
    """Sends a valid request. Its answer must have these scores."""
    connection = http.client.HTTPConnection(*address, timeout=60)
    connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
    answer = connection.getresponse()
    content = json.loads(answer.read())
    connection.close()
    statuses[answer.status] = statuses.get(answer.status, 0) + 1
    assert answer.status == 200, f"{path}: {answer.status} {content} for {body}"
    hits = content if isinstance(content, list) else content["results"]
    score = "score" if isinstance(content, list) else "relevance_score"
    got = {hit["index"]: f32(hit[score]) for hit in hits}
    want = {i: scores[text] for i, text in enumerate(texts)}
    assert got == want, f"{path}: {got} instead of {want} for {body}"


def round_of(server, address, scores, dice, statuses, count):
    """Malformed, hostile and unusual requests: `count` of each kind on each route."""
    for path, good in GOOD.items():
        for _ in range(count):
            send(address, path, mutated(good, dice), statuses)
        for body in big():
            send(address, path, body, statuses)
    for _ in range(count):
        path = dice.choice([*RERANK, "/v1/embeddings", "/tokenize", "/nowhere"])
        send(address, path + dice.choice(["", "/", "//"]), hostile(dice), statuses)
        path, body, texts = unusual(dice)
        ask(address, path, body, texts, scores, statuses)
    for _ in range(200):
        with socket.create_connection(address, 10) as raw:
            raw.sendall(
                dice.choice([b"POST /rerank HTTP/1.1\r\nhost: x\r\n", b""])
                + dice.randbytes(dice.randrange(1, 500))
            )
    peak = server.peak()
    assert peak < MEMORY, f"{peak / 1e6:.0f} MB were resident"


def send(address, path, body, statuses):
    connection = http.client.HTTPConnection(*address, timeout=60)
    try:
        connection.request("POST", path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        # A path with two slashes is none of the API's.
        if answer.status != 404:
            json.loads(text)
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
        late = answer.status == 504 and b"deadline_ms" in body
        assert answer.status < 500 or late, f"{path}: {answer.status} {text[:200]} for {body[:300]}"
    except (BrokenPipeError, ConnectionResetError):
        # The server refuses a body with too long a content-length before it is sent.
        statuses["closed"] = statuses.get("closed", 0) + 1
    finally:
        connection.close()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("binary")
    parser.add_argument("--examples", type=int, default=400, help="schemathesis examples per route")
    parser.add_argument("--minutes", type=float, default=0, help="repeat our own bodies so long")
    args = parser.parse_args()
    scores = dict(zip(TEXTS, known_scores(args.binary, QUERY, TEXTS)))
    dice, statuses = random.Random(1), {}
    with tempfile.TemporaryDirectory() as tmp:
        encoder = f"{tmp}/e.lane"
        source, default = ROOT / "tests/data/model/mean-pooled", ROOT / "src/assets/default.lane"
        subprocess.run(
            [args.binary, "convert", source, "-o", encoder], check=True, capture_output=True
        )
        # An encoder ranks too, so requests without a model are valid on every route.
        models = ["--model", f"encoder={encoder}", "--model", f"default={default}", "--any-model"]
        with Server(args.binary, *models) as server:
            address = server.url.removeprefix("http://").split(":")
            before = server.post("/rerank", GOOD["/rerank"])
            end = time.time() + 60 * args.minutes
            round_of(server, address, scores, dice, statuses, 500)
            while time.time() < end:
                round_of(server, address, scores, dice, statuses, 100)
            print(f"{sum(statuses.values())} mutated and oversized bodies, by status: {statuses}")
            fine = schemathesis(server.url, args.examples, Path(tmp))
            assert server.post("/rerank", GOOD["/rerank"]) == before, "other scores than before"
            urllib.request.urlopen(server.url + "/health").read()
            broken = server.metric('lanerank_rejected_total{reason="backend"} ')
            assert broken == 0, f"{broken} requests failed inside the server"
            print(
                f"resident memory at the end: {server.rss() / 1e6:.1f} MB, "
                f"at most {server.peak() / 1e6:.1f} MB"
            )
            assert server.peak() < MEMORY
    sys.exit(not fine)


if __name__ == "__main__":
    main()
