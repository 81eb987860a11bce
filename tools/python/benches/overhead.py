#!/usr/bin/env python3
"""The overhead of a call from Python over Rust, the time of the import, and the size of the wheel.

    cargo build --release -p lanerank-cli --features full
    python tools/python/benches/overhead.py target/release/lanerank WORKLOAD.json [--wheel WHEEL]

WORKLOAD is one of `lanerank bench`, {"name": {"query": ..., "passages": [...]}}. Both sides run the
embedded model on one thread and take turns. Each turn gives the median of its runs, and the result
is the median of the turns' differences. Pin it: taskset -c 1.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from lanerank import Ranker, RerankRequest

TURNS = 9
SECONDS = 0.4


def in_rust(binary, file, runs):
    """Median of the runs of the only request in a workload file, in microseconds."""
    bench = [binary, "bench", "--workload", file, "--threads", "1", "--runs", str(runs), "--json"]
    [row] = json.loads(subprocess.run(bench, capture_output=True, check=True).stdout)["requests"]
    return row["median_ms"] * 1000


def microseconds(call):
    """Median of the calls in SECONDS."""
    times, end = [], time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def import_milliseconds():
    """Median time of `import lanerank` in a new interpreter, with everything in the page cache."""
    code = "import time; t = time.perf_counter(); import lanerank; print(time.perf_counter() - t)"
    runs = [float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(41)]
    return statistics.median(runs) * 1000


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("workload")
    parser.add_argument("--wheel")
    args = parser.parse_args()
    with open(args.workload) as file:
        workload = json.load(file)
    ranker = Ranker(threads=1)
    print(f"import lanerank: {import_milliseconds():.2f} ms")
    if args.wheel:
        print(f"wheel: {os.path.getsize(args.wheel)} bytes")
    print(
        f"{'request':<12} {'Rust us':>9} {'scores':>8} {'rank':>8} {'rerank':>8}"
        "   over Rust, median us"
    )
    for name, request in workload.items():
        query, texts = request["query"], request["passages"]
        passages = [{"id": i, "text": text, "meta": {}} for i, text in enumerate(texts)]
        calls = {
            "scores": lambda: ranker.scores(query, texts),
            "rank": lambda: ranker.rank(query, texts),
            "rerank": lambda: ranker.rerank(RerankRequest(query, passages)),
        }
        rust, more = [], {call: [] for call in calls}
        runs = max(5, round(SECONDS * 1e6 / microseconds(calls["scores"])))
        for _ in range(TURNS):
            with tempfile.NamedTemporaryFile("w", suffix=".json") as alone:
                json.dump({name: request}, alone)
                alone.flush()
                rust.append(in_rust(args.binary, alone.name, runs))
            for call, function in calls.items():
                more[call].append(microseconds(function) - rust[-1])
        columns = "".join(f" {statistics.median(values):>+8.1f}" for values in more.values())
        print(f"{name:<12} {statistics.median(rust):>9.1f}{columns}", flush=True)


if __name__ == "__main__":
    main()
