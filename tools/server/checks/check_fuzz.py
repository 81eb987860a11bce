#!/usr/bin/env python3
"""Thousands of malformed requests against `lanerank serve`: no 5xx, no crash, no growth.

    python tools/server/checks/check_fuzz.py target/release/lanerank [--examples 400]

Schemathesis makes valid and invalid requests from our /openapi.json and checks the answers against
it. Bodies that it does not generate follow: truncated, mutated, nested, huge, with bad bytes and
bad HTTP. At the end the server must answer as before, with every thread alive.
"""

import argparse, http.client, json, random, socket, subprocess, sys, tempfile, urllib.request
from pathlib import Path
from common import ROOT, Server

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
    print("\n".join(done.stdout.splitlines()[-25:]))
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


def send(address, path, body, statuses):
    connection = http.client.HTTPConnection(*address, timeout=60)
    try:
        connection.request("POST", path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
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
    args = parser.parse_args()
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
            for path, good in GOOD.items():
                for _ in range(500):
                    send(address, path, mutated(good, dice), statuses)
                for body in big():
                    send(address, path, body, statuses)
            for _ in range(200):
                with socket.create_connection(address, 10) as raw:
                    raw.sendall(
                        dice.choice([b"POST /rerank HTTP/1.1\r\nhost: x\r\n", b""])
                        + dice.randbytes(dice.randrange(1, 500))
                    )
            print(f"{sum(statuses.values())} mutated and oversized bodies, by status: {statuses}")
            fine = schemathesis(server.url, args.examples, Path(tmp))
            assert server.post("/rerank", GOOD["/rerank"]) == before, "other scores than before"
            urllib.request.urlopen(server.url + "/health").read()
            broken = server.metric('lanerank_rejected_total{reason="backend"} ')
            assert broken == 0, f"{broken} requests failed inside the server"
            print(f"resident memory at the end: {server.rss() / 1e6:.1f} MB")
    sys.exit(not fine)


if __name__ == "__main__":
    main()
