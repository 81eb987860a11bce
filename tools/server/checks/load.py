#!/usr/bin/env python3
"""Throughput and latency of `lanerank serve` under load, compared with other servers.

    python tools/server/checks/load.py target/release/lanerank \\
        --model tinybert.lane --workload workload.json [--flashrank NAME CACHE_DIR]
        [--python PYTHON] [--infinity COMMAND FOLDER [ENGINE ...]]
        [--request seed] [--connections 1 2 4 8 16]

`wrk` (Debian: wrk) on the same machine repeats one request of the workload over a number of
connections. Rounds of a second, the servers in turn; medians.

FlashRank runs behind flashrank_server.py: NAME and CACHE_DIR are its `model_name` and `cache_dir`,
PYTHON an interpreter that has it. Infinity (github.com/michaelfeil/infinity) is its own server:
COMMAND is its `infinity_emb`, FOLDER a model folder with model.safetensors for the engine `torch`
or ONNX files for `optimum`, which prefers the int8 file and writes an optimised copy next to it.
Measured with, in a separate Python 3.11:

    pip install "infinity-emb[server,torch,optimum]==0.0.78" "optimum==1.24.*" \\
        "transformers<4.49" "datasets<4" "pyarrow<21" "numpy<2" torch==2.15.0 onnxruntime==1.32.0
"""

import argparse, json, os, re, statistics, subprocess, sys, tempfile, time, urllib.request
from pathlib import Path
from common import Server

PORT = 18931  # Of the first other server; the rest follow.
START = 120  # Seconds.
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


def wrk(url, body, connections, seconds):
    """Requests a second, p50 and p99 in milliseconds, and the number of failed answers."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        quoted = body.replace("]==]", "]==\\u005d")
        script.write(
            f'wrk.method="POST"\nwrk.headers["content-type"]="application/json"\n'
            f"wrk.body=[==[{quoted}]==]\n"
        )
        script.flush()
        command = [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "--latency",
            "--timeout",
            "60s",
            "-s",
            script.name,
            url,
        ]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    milliseconds = lambda p: (lambda m: float(m[1]) * UNITS[m[2]])(
        re.search(rf"\b{p}%\s+([\d.]+)(us|ms|s|m)\b", out)
    )
    errors = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", out)))
    errors += sum(
        sum(map(int, re.findall(r"\d+", line))) for line in re.findall(r"Socket errors: (.*)", out)
    )
    return (
        float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
        milliseconds(50),
        milliseconds(99),
        errors,
    )


def processor_seconds(pid):
    """User and system time of all threads of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


class Measured:
    """A server under load; one row per number of connections."""

    def __init__(self, name, url, pid, body, seconds):
        self.name, self.url, self.pid, self.body, self.seconds = (
            name,
            url,
            pid,
            json.dumps(body),
            seconds,
        )

    def results(self):
        """Number of results in an answer of TEI's or Cohere's shape."""
        request = urllib.request.Request(
            self.url, self.body.encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)
        return len(found["results"] if isinstance(found, dict) else found)

    def once(self, connections):
        before = processor_seconds(self.pid)
        rps, p50, p99, errors = wrk(self.url, self.body, connections, self.seconds)
        cpu = 1e3 * (processor_seconds(self.pid) - before) / max(1, rps * self.seconds)
        return rps, p50, p99, cpu, errors


def measure(servers, args):
    """Medians; the servers take turns, so that other work on the machine affects all of them."""
    rows = {server.name: [] for server in servers}
    for server in servers:
        assert server.results() == args.passages, f"{server.name}: other passages"
        wrk(server.url, server.body, max(args.connections), 1)  # Warm.
    for connections in args.connections:
        rounds = [[server.once(connections) for server in servers] for _ in range(args.rounds)]
        for server, results in zip(servers, zip(*rounds)):
            rps, p50, p99, cpu = (statistics.median(r[k] for r in results) for k in range(4))
            errors = sum(r[4] for r in results)
            rows[server.name].append((rps, p99))
            print(
                f"| {server.name} | {connections} | {rps:.0f} | {p50:.2f} | {p99:.2f} | {cpu:.2f} "
                f"| {errors} |",
                flush=True,
            )
    return rows


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("binary")
    parser.add_argument("--model", required=True)
    parser.add_argument("--workload", required=True)
    parser.add_argument("--request", default="seed")
    parser.add_argument("--flashrank", nargs=2, metavar=("NAME", "CACHE_DIR"))
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--infinity", nargs="+", default=[], metavar=("COMMAND FOLDER", "ENGINE"))
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    if len(args.infinity) == 1:
        parser.error("--infinity: FOLDER is missing")
    infinity, engines = args.infinity[:2], args.infinity and (args.infinity[2:] or ["optimum"])
    request = json.loads(Path(args.workload).read_text())[args.request]
    query, args.passages = request["query"], len(request["passages"])
    tei, cohere = (
        {"query": query, "texts": request["passages"]},
        {"model": "model", "query": query, "documents": request["passages"]},
    )
    print(
        f"| server, `{args.request}` | connections | requests/s | p50 ms | p99 ms "
        "| CPU ms per request | errors |\n|---|---|---|---|---|---|---|"
    )
    peers = []
    with Server(
        args.binary, "--model", args.model, log="warn,lanerank_server::server=info"
    ) as server:
        servers = [
            Measured("lanerank", server.url + "/rerank", server.process.pid, tei, args.seconds)
        ]
        try:
            if args.flashrank:
                peers.append(start_flashrank(args, PORT))
                servers.append(
                    Measured(
                        "FlashRank", f"http://127.0.0.1:{PORT}/", peers[-1].pid, tei, args.seconds
                    )
                )
            for port, engine in enumerate(engines, PORT + 1):
                peers.append(start_infinity(*infinity, engine, port))
                url = f"http://127.0.0.1:{port}/rerank"
                servers.append(
                    Measured(f"infinity, {engine}", url, peers[-1].pid, cohere, args.seconds)
                )
            rows = measure(servers, args)
        finally:
            for peer in peers:
                peer.terminate()
                peer.wait(60)
    for name in list(rows)[1:]:
        print(f"\nmost requests/s of lanerank at a p99 no worse, for each row of {name}:")
        for rps, p99 in rows[name]:
            best = max((r for r, p in rows["lanerank"] if p <= p99), default=0)
            print(f"  {rps:.0f} at {p99:.2f} ms: {best:.0f}, {best / rps:.1f} times as many")


def start_flashrank(args, port):
    command = [
        args.python,
        Path(__file__).with_name("flashrank_server.py"),
        str(port),
        *args.flashrank,
    ]
    peer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while "ready" not in (line := peer.stdout.readline()):
        if not line:
            sys.exit("FlashRank's server did not start")
    return peer


def start_infinity(command, folder, engine, port):
    """Turns off what costs it time and lanerank does not do.

    These are: a separate count of tokens, caches on disk, usage statistics.
    """
    options = [
        "--model-id",
        Path(folder).resolve(),
        "--served-model-name",
        "model",
        "--engine",
        engine,
        "--device",
        "cpu",
        "--host",
        "127.0.0.1",
        "--port",
        port,
        "--no-lengths-via-tokenize",
        "--no-vector-disk-cache",
        "--log-level",
        "error",
    ]
    quiet = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0"}
    peer = subprocess.Popen(
        [command, "v2", *map(str, options)],
        env={**os.environ, **quiet},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(START):
        time.sleep(1)
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health").read()
            return peer
        except OSError:
            if peer.poll() is not None:
                break
    peer.kill()
    sys.exit(f"infinity did not start: {command} {options}")


if __name__ == "__main__":
    main()
