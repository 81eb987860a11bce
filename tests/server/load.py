#!/usr/bin/env python3
"""Requests a second and latencies of `lanerank serve` under load, beside FlashRank behind an HTTP server.

    python tests/server/load.py target/release/lanerank --model tinybert.lane --workload workload.json \\
        [--flashrank NAME CACHE_DIR] [--python PYTHON] [--request seed] [--connections 1 2 4 8 16]

`wrk` (Debian: wrk) on the same machine sends one request of the workload again and again over so many
connections; rounds of a second, the two servers in turns, medians. NAME and CACHE_DIR are FlashRank's `model_name` and `cache_dir`; PYTHON is one that has it.
"""
import argparse, json, os, re, statistics, subprocess, sys, tempfile
from pathlib import Path
from common import Server

PORT = 18931  # Of FlashRank's server.
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


def processor_seconds(pid):
    """User and system time of a process, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


class Measured:
    """A server under load: one row for each number of connections."""

    def __init__(self, name, url, pid, body, seconds):
        self.name, self.url, self.pid, self.body, self.seconds = name, url, pid, body, seconds

    def once(self, connections):
        before = processor_seconds(self.pid)
        rps, p50, p99, errors = wrk(self.url, self.body, connections, self.seconds)
        cpu = 1e3 * (processor_seconds(self.pid) - before) / max(1, rps * self.seconds)
        return rps, p50, p99, cpu, errors


def measure(servers, args):
    """Rounds in turns, so that whatever else the machine does hits all alike; medians."""
    rows = {server.name: [] for server in servers}
    for server in servers:
        wrk(server.url, server.body, max(args.connections), 1)  # Warm.
    for connections in args.connections:
        rounds = [[server.once(connections) for server in servers] for _ in range(args.rounds)]
        for server, results in zip(servers, zip(*rounds)):
            rps, p50, p99, cpu = (statistics.median(r[k] for r in results) for k in range(4))
            errors = sum(r[4] for r in results)
            rows[server.name].append((rps, p99))
            print(f"| {server.name} | {connections} | {rps:.0f} | {p50:.2f} | {p99:.2f} | {cpu:.2f} | {errors} |", flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--model", required=True)
    parser.add_argument("--workload", required=True)
    parser.add_argument("--request", default="seed")
    parser.add_argument("--flashrank", nargs=2, metavar=("NAME", "CACHE_DIR"))
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    request = json.loads(Path(args.workload).read_text())[args.request]
    body = json.dumps({"query": request["query"], "texts": request["passages"]})
    print(f"| server, `{args.request}` | connections | requests/s | p50 ms | p99 ms | CPU ms a request | errors |\n|---|---|---|---|---|---|---|")
    with Server(args.binary, "--model", args.model, log="warn,lanerank_server::server=info") as server:
        servers = [Measured("lanerank", server.url + "/rerank", server.process.pid, body, args.seconds)]
        peer = None
        try:
            if args.flashrank:
                peer = start_flashrank(args)
                servers.append(Measured("FlashRank", f"http://127.0.0.1:{PORT}/", peer.pid, body, args.seconds))
            rows = measure(servers, args)
        finally:
            if peer:
                peer.terminate()
    if args.flashrank:
        print("\nmost requests/s of ours at a p99 no worse, for each row of FlashRank's:")
        for rps, p99 in rows["FlashRank"]:
            best = max((r for r, p in rows["lanerank"] if p <= p99), default=0)
            print(f"  {rps:.0f} at {p99:.2f} ms: {best:.0f}, {best / rps:.1f} times as many")


def start_flashrank(args):
    command = [args.python, Path(__file__).with_name("flashrank_server.py"), str(PORT), *args.flashrank]
    peer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while "ready" not in (line := peer.stdout.readline()):
        if not line:
            sys.exit("FlashRank's server did not start")
    return peer


if __name__ == "__main__":
    main()
