#!/usr/bin/env python3
"""`lanerank serve` at full load for a long time: memory growth and lost answers.

    python tools/server/checks/soak.py target/release/lanerank [--minutes 60] [--model FILE]

Clients send requests of many sizes to all routes. Some requests are malformed, some have a short
deadline, some clients disconnect, and the model file is replaced from time to time. Prints resident
memory, open files and requests at intervals. Fails on a wrong or lost answer, or if memory grows in
the second half by more than 5 % and 4 MB. Then kills the server and restarts it on the same port.
"""

import argparse, http.client, json, os, random, shutil, sys, tempfile, threading, time
from common import ROOT, Server

WORDS = """bread keeps fresh in a paper bag the lighthouse was built of stone water runs on rust
never sleeps""".split()


class Client(threading.Thread):
    def __init__(self, address, seed, end):
        super().__init__(daemon=True)
        self.address, self.random, self.end = address, random.Random(seed), end
        self.counts, self.failure = {}, None

    def text(self, most=60):
        return " ".join(self.random.choices(WORDS, k=self.random.randrange(most)))

    def run(self):
        try:
            while time.time() < self.end:
                connection = http.client.HTTPConnection(*self.address, timeout=60)
                for _ in range(self.random.randrange(1, 200)):
                    begun = time.time()
                    # The server closes a connection that is idle for --read-timeout.
                    if begun >= self.end or not self.step(connection) or time.time() - begun > 5:
                        break
                connection.close()
        except Exception as e:
            self.failure = e

    def step(self, connection):
        kind = self.random.random()
        texts = [self.text() for _ in range(self.random.choice([1, 1, 5, 5, 20, 100]))]
        path, field = self.random.choice([
            ("/rerank", "texts"),
            ("/v1/rerank", "documents"),
            ("/v2/rerank", "documents"),
        ])
        body, good = {"query": self.text(12), field: texts}, [200]
        if kind < 0.05:
            body, good = {"query": 1}, [422]
        elif kind < 0.1:
            body["deadline_ms"], good = self.random.randrange(3), [200, 504]
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        if kind > 0.98:
            self.counts["gone"] = self.counts.get("gone", 0) + 1
            return False
        answer = connection.getresponse()
        content = json.loads(answer.read())
        assert answer.status in [*good, 429], (answer.status, content)
        if answer.status == 200:
            ranks = content if path == "/rerank" else content["results"]
            assert sorted(r["index"] for r in ranks) == list(range(len(texts))), (
                "an answer without all texts"
            )
        self.counts[answer.status] = self.counts.get(answer.status, 0) + 1
        return True


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("binary")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--model", default=ROOT / "src/assets/default.lane")
    parser.add_argument("--clients", type=int, default=8)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        model = f"{tmp}/m.lane"
        shutil.copy(args.model, model)
        begin, samples = time.time(), []
        end = begin + 60 * args.minutes
        with Server(
            args.binary, "--model", model, log="error,lanerank_server::server=info"
        ) as server:
            address = server.url.removeprefix("http://").split(":")
            clients = [Client(address, seed, end) for seed in range(args.clients)]
            for client in clients:
                client.start()
            while time.time() < end and not any(c.failure for c in clients):
                time.sleep(min(args.minutes * 60 / 30, max(0.1, end - time.time())))
                shutil.copy(args.model, f"{tmp}/new")
                os.rename(f"{tmp}/new", model)
                rss, files = server.rss(), server.metric("process_open_fds ")
                total = sum(sum(c.counts.values()) for c in clients)
                samples.append(rss)
                print(
                    f"{time.time() - begin:7.0f} s  {rss / 1e6:7.1f} MB  {files:4.0f} files  "
                    f"{total} requests",
                    flush=True,
                )
            for client in clients:
                client.join(90)
            failures = [c.failure for c in clients if c.failure] + [
                "still running" for c in clients if c.is_alive()
            ]
            assert not failures, failures
            reloads = server.metric('lanerank_reloads_total{model="m",outcome="taken"} ')
            assert server.metric("lanerank_requests_in_flight ") == 0
            counts = {}
            for client in clients:
                for status, n in client.counts.items():
                    counts[status] = counts.get(status, 0) + n
            print(f"by status: {counts}; model replaced {reloads:.0f} times")
            server.kill()
            port = address[1]
            killed = time.time()
            with Server(args.binary, "--model", model, port=port) as again:
                again.post("/rerank", {"query": "bread", "texts": WORDS})
                print(
                    "killed, and serving on the same port again after "
                    f"{1e3 * (time.time() - killed):.0f} ms"
                )
        half = samples[len(samples) // 2]
        growth = samples[-1] - half
        print(
            f"resident memory: {half / 1e6:.1f} MB at half time, "
            f"{samples[-1] / 1e6:.1f} MB at the end, "
            f"at most {max(samples) / 1e6:.1f} MB"
        )
        sys.exit(growth > max(0.05 * half, 4e6))


if __name__ == "__main__":
    main()
