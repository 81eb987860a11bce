#!/usr/bin/env python3
"""Requests a second and latencies of `lanerank serve` under load, beside FlashRank behind an HTTP server.

    python tests/server/load.py target/release/lanerank --model tinybert.lane --workload workload.json \\
        [--flashrank NAME CACHE_DIR] [--python PYTHON] [--request seed] [--connections 1 2 4 8 16 32]

`wrk` (Debian: wrk) on the same machine sends one request of the workload again and again over so many
connections. NAME and CACHE_DIR are FlashRank's `model_name` and `cache_dir`; PYTHON is one that has it.
"""
import argparse, json, re, subprocess, sys, tempfile
from pathlib import Path
from common import Server

UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


def wrk(url, body, connections, seconds):
    """Requests a second, p50 and p99 in milliseconds, and answers that were no success."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        quoted = body.replace("]==]", "]==\\u005d")
        script.write(f'wrk.method="POST"\nwrk.headers["content-type"]="application/json"\nwrk.body=[==[{quoted}]==]\n')
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "60s", "-s", script.name, url]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    milliseconds = lambda p: (lambda m: float(m[1]) * UNITS[m[2]])(re.search(rf"\b{p}%\s+([\d.]+)(us|ms|s|m)\b", out))
    errors = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", out)))
    errors += sum(sum(map(int, re.findall(r"\d+", line))) for line in re.findall(r"Socket errors: (.*)", out))
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), milliseconds(50), milliseconds(99), errors


def sweep(name, url, body, args):
    wrk(url, body, max(args.connections), 1)  # Warm.
    rows = []
    for connections in args.connections:
        rps, p50, p99, errors = wrk(url, body, connections, args.seconds)
        rows.append((rps, p99))
        print(f"| {name} | {connections} | {rps:.0f} | {p50:.2f} | {p99:.2f} | {errors} |", flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--model", required=True)
    parser.add_argument("--workload", required=True)
    parser.add_argument("--request", default="seed")
    parser.add_argument("--flashrank", nargs=2, metavar=("NAME", "CACHE_DIR"))
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--seconds", type=int, default=3)
    args = parser.parse_args()
    request = json.loads(Path(args.workload).read_text())[args.request]
    body = json.dumps({"query": request["query"], "texts": request["passages"]})
    print(f"| server, `{args.request}` | connections | requests/s | p50 ms | p99 ms | errors |\n|---|---|---|---|---|---|")
    with Server(args.binary, "--model", args.model, log="warn,lanerank_server::server=info") as server:
        ours = sweep("lanerank", server.url + "/rerank", body, args)
    if not args.flashrank:
        return
    port = 18931
    command = [args.python, Path(__file__).with_name("flashrank_server.py"), str(port), *args.flashrank]
    peer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        while "ready" not in (line := peer.stdout.readline()):
            assert line, "FlashRank's server did not start"
        theirs = sweep("FlashRank", f"http://127.0.0.1:{port}/", body, args)
    finally:
        peer.terminate()
    print("\nmost requests/s of ours at a p99 no worse, for each row of FlashRank's:")
    for rps, p99 in theirs:
        best = max((r for r, p in ours if p <= p99), default=0)
        print(f"  {rps:.0f} at {p99:.2f} ms: {best:.0f}, {best / rps:.1f} times as many")


if __name__ == "__main__":
    main()
