#!/usr/bin/env python3
"""Tests the packaged function under cargo-lambda's runtime API: over its HTTP address, where
cargo-lambda makes the events, and by `cargo lambda invoke`.

    tools/lambda/package.sh && python tools/lambda/check_cargo_lambda.py target/release/lanerank

Needs the package `cargo-lambda` in this Python's folder (requirements.txt). The binary gives the
expected scores.
"""

import argparse, json, socket, subprocess, sys, tempfile, time, urllib.error, urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
QUERY = "how do I keep bread fresh"
TEXTS = [
    "The lighthouse was built in 1847.",
    "A paper bag in a box keeps bread longest.",
    "Brød – 冷蔵庫",
]


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def post(url, body, content_type="application/json"):
    request = urllib.request.Request(url, body, {"content-type": content_type})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as e:
        return e.code, json.load(e)


def expected(binary):
    command = [binary, "rerank", "--json", "--query", QUERY]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS)
    hits = json.loads(
        subprocess.run(command, input=lines, capture_output=True, text=True, check=True).stdout
    )
    return [(hit["index"], hit["score"]) for hit in hits]


def check(cargo_lambda, port, right):
    url = f"http://127.0.0.1:{port}"
    status, ranks = post(url + "/rerank", json.dumps({"query": QUERY, "texts": TEXTS}).encode())
    assert (status, [(r["index"], r["score"]) for r in ranks]) == (200, right), (status, ranks)
    status, ranks = post(
        url + "/v2/rerank", json.dumps({"query": QUERY, "documents": TEXTS}).encode()
    )
    assert (status, [(r["index"], r["relevance_score"]) for r in ranks["results"]]) == (
        200,
        right,
    ), (status, ranks)
    assert post(url + "/rerank", b"")[0] == 400
    assert post(url + "/rerank", b"{}", "text/plain")[0] == 415
    event = {
        "resource": "/rerank",
        "path": "/rerank",
        "httpMethod": "POST",
        "headers": {"Content-Type": "application/json"},
        "requestContext": {"stage": "prod", "httpMethod": "POST", "path": "/prod/rerank"},
        "body": json.dumps({"query": QUERY, "texts": TEXTS}),
        "isBase64Encoded": False,
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(event, file)
        file.flush()
        command = [
            cargo_lambda,
            "lambda",
            "invoke",
            "--data-file",
            file.name,
            "--invoke-address",
            "127.0.0.1",
            "--invoke-port",
            str(port),
            "--output-format",
            "json",
        ]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    answer = json.loads(out)
    ranks = json.loads(answer["body"])
    assert (answer["statusCode"], [(r["index"], r["score"]) for r in ranks]) == (200, right), answer


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("binary")
    parser.add_argument("--bootstrap", default=HERE / "target/lambda/bootstrap")
    args = parser.parse_args()
    right = expected(args.binary)
    cargo_lambda, port = Path(sys.executable).parent / "cargo-lambda", free_port()
    watch = [
        cargo_lambda,
        "lambda",
        "watch",
        "--only-lambda-apis",
        "--invoke-address",
        "127.0.0.1",
        "--invoke-port",
        str(port),
    ]
    processes = [subprocess.Popen(watch, cwd=HERE, stderr=subprocess.DEVNULL)]
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                assert processes[0].poll() is None, "cargo lambda did not start"
                time.sleep(0.1)
        settings = {
            "AWS_LAMBDA_RUNTIME_API": f"http://127.0.0.1:{port}/.rt",
            "AWS_LAMBDA_FUNCTION_NAME": "_",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        }
        processes.append(
            subprocess.Popen([args.bootstrap], env=settings, stderr=subprocess.DEVNULL)
        )
        check(cargo_lambda, port, right)
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()
    print("cargo-lambda's events get the library's scores and the server's errors")


if __name__ == "__main__":
    main()
