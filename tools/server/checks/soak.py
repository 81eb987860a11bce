#!/usr/bin/env python3
"""`lanerank serve` under load and attack for a long time: wrong or lost answers, memory.

    python tools/server/checks/soak.py target/release/lanerank [--minutes 60] [--model FILE]

Well-behaved clients send requests of many sizes to all rerank routes. Every answer must have the
scores that `lanerank rerank` gives, bit for bit as f32. They repeat a request only as ordinary
clients do: after 429, after a kept connection that the server closed, and while the server is
down.

Hostile clients do not read their answers, send half bodies, slow bodies, garbage, huge and deep
bodies, or go away. Meanwhile the model file is replaced by broken ones (garbage, cut, one bit
flipped, a FIFO, one that claims a terabyte) with SIGHUP, then by the good one. At a sixth and at a
third of the time the server is killed with SIGKILL and started again.

Prints resident memory, open files and answers at intervals. Fails on a wrong or lost answer, on
more than --memory, or if the most memory of the last sixth is above that of the sixth before by
more than 10 % and 8 MB (not judged below 10 minutes).
"""

import argparse, http.client, json, os, random, shutil, signal, socket, struct, sys, tempfile
import threading, time
from pathlib import Path
from common import MEMORY, ROOT, Server, f32, known_scores

WORDS = """bread keeps fresh in a paper bag the lighthouse was built of stone water runs on rust
never sleeps""".split()
JSON = {"content-type": "application/json"}
ROUTES = [
    ("/rerank", "texts"),
    ("/rerank", "documents"),
    ("/reranking", "documents"),
    ("/v1/rerank", "documents"),
    ("/v1/rerank/", "documents"),
    ("/v2/rerank", "documents"),
]
QUERIES, TEXTS = 6, 300


class Site:
    """The server's address, and since when it runs: a request over a restart may be lost."""

    def __init__(self):
        self.address, self.up, self.starts = None, threading.Event(), 0


def known(binary, model, dice):
    """Queries, texts, and the score of each pair."""
    text = lambda most: " ".join(dice.choices(WORDS, k=dice.randrange(1, most)))
    queries = [text(12) for _ in range(QUERIES)]
    texts = [text(60) for _ in range(TEXTS)] + ["", "\u00e9 \u6771\u4eac"]
    return texts, {query: known_scores(binary, query, texts, model) for query in queries}


class Good(threading.Thread):
    """Asks and checks."""

    def __init__(self, site, known, seed, end):
        super().__init__(daemon=True)
        self.site, self.end, self.dice = site, end, random.Random(seed)
        self.texts, self.scores = known
        self.counts, self.times, self.failure = {}, [], None

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def run(self):
        try:
            while time.time() < self.end:
                self.site.up.wait(60)
                connection = http.client.HTTPConnection(*self.site.address, timeout=60)
                used = False
                for _ in range(self.dice.randrange(1, 200)):
                    begun = time.time()
                    if begun >= self.end or not self.ask(connection, used):
                        break
                    used = True
                    # The server closes a connection that is idle for --read-timeout.
                    if time.time() - begun > 5:
                        break
                connection.close()
        except Exception as e:
            self.failure = e

    def ask(self, connection, used):
        """One request until it is answered. Whether the connection can be used again."""
        query = self.dice.choice(list(self.scores))
        picked = self.dice.choices(range(len(self.texts)), k=self.dice.choice([1, 5, 5, 20, 100]))
        path, field = self.dice.choice(ROUTES)
        texts = [self.texts[i] for i in picked]
        if field == "documents" and self.dice.random() < 0.3:
            texts = [{"text": text} for text in texts]
        body = json.dumps({"query": query, field: texts})
        fresh = False
        while True:
            starts, begun = self.site.starts, time.time()
            try:
                connection.request("POST", path, body, JSON)
                answer = connection.getresponse()
                content = json.loads(answer.read())
            except (OSError, http.client.HTTPException) as e:
                connection.close()
                restarted = starts != self.site.starts or not self.site.up.is_set()
                if not restarted and (fresh or not used):
                    raise AssertionError(f"{path}: lost: {e!r}") from e
                self.count("again after a restart" if restarted else "again: connection closed")
                self.site.up.wait(60)
                connection = http.client.HTTPConnection(*self.site.address, timeout=60)
                fresh = not restarted
                continue
            if answer.status == 429:
                self.count(429)
                time.sleep(0.05)
                continue
            assert answer.status == 200, (path, answer.status, content)
            self.times.append(time.time() - begun)
            self.check(content, query, picked)
            self.count(200)
            return not answer.will_close

    def check(self, content, query, picked):
        hits = content if isinstance(content, list) else content["results"]
        score = "score" if isinstance(content, list) else "relevance_score"
        got = {hit["index"]: f32(hit[score]) for hit in hits}
        want = {i: self.scores[query][text] for i, text in enumerate(picked)}
        assert len(hits) == len(picked) and got == want, ("other scores", query, got, want)
        order = [f32(hit[score]) for hit in hits]
        assert order == sorted(order, reverse=True), ("not sorted", order)


class Bad(threading.Thread):
    """Attacks in every way, one after the other. Its own errors do not count."""

    def __init__(self, site, seed, end):
        super().__init__(daemon=True)
        self.site, self.end, self.dice, self.counts = site, end, random.Random(seed), {}

    def run(self):
        ways = [self.unread, self.half, self.slow, self.gone]
        ways += [self.garbage, self.malformed, self.huge]
        while time.time() < self.end:
            way = self.dice.choice(ways)
            self.counts[way.__name__] = self.counts.get(way.__name__, 0) + 1
            try:
                self.site.up.wait(60)
                with socket.socket() as connection:
                    connection.settimeout(5)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    host, port = self.site.address
                    connection.connect((host, int(port)))
                    way(connection)
            except OSError:
                pass
            time.sleep(0.02)

    def request(self, body, path="/rerank", length=None):
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        return (head + f"content-length: {length or len(body)}\r\n\r\n").encode() + body

    def wait(self, most):
        time.sleep(min(self.dice.random() * most, max(0, self.end - time.time())))

    def unread(self, connection):
        """Many requests with long answers that nobody reads."""
        body = {"query": "bread", "texts": ["bread " * 20] * 500, "return_text": True}
        request = self.request(json.dumps(body).encode())
        for _ in range(20):
            connection.sendall(request)
        self.wait(15)

    def half(self, connection):
        body = json.dumps({"query": "bread", "texts": WORDS * 50}).encode()
        connection.sendall(self.request(body[: self.dice.randrange(len(body))], length=len(body)))
        self.wait(12)

    def slow(self, connection):
        request = self.request(json.dumps({"query": "bread", "texts": WORDS}).encode())
        for at in range(0, len(request), 7):
            connection.sendall(request[at : at + 7])
            self.wait(0.2)

    def gone(self, connection):
        """Away with a reset before the answer."""
        body = {"query": "bread", "texts": ["bread is fresh " * 30] * 300}
        connection.sendall(self.request(json.dumps(body).encode()))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def garbage(self, connection):
        begin = self.dice.choice([b"", b"POST /rerank HTTP/1.1\r\nhost: x\r\n"])
        connection.sendall(begin + self.dice.randbytes(self.dice.randrange(1, 2000)))
        self.wait(1)

    def malformed(self, connection):
        body = self.dice.choice([
            b"{",
            b"[]",
            b'{"query": 1}',
            b'{"query": "a", "texts": [1]}',
            b'{"query": "a", "texts": []}',
            b'{"query": "\\ud800", "texts": ["a"]}',
            b'{"query": "a", "documents": ["a"], "rank_fields": 7}',
            b"[" * 50_000,
            b'{"query":' + b'{"a":' * 20_000,
        ])
        path = self.dice.choice(["/rerank", "/v1/rerank", "/v2/rerank/", "/nowhere", "/tokenize"])
        connection.sendall(self.request(body, path))
        connection.recv(4096)

    def huge(self, connection):
        body = self.dice.choice([
            b'{"query":"a","texts":[' + b'"",' * 600_000 + b'""]}',
            b'{"query":"a","documents":[' + b"{}," * 600_000 + b"{}]}",
            b'{"query":"' + b"a b " * 450_000 + b'","texts":["a"]}',
            b'{"query":"a","documents":[{"a":1}],"rank_fields":[' + b'"a",' * 400_000 + b'"a"]}',
            b'{"query":"a","texts":["' + b"x" * 3_000_000 + b'"]}',
        ])
        connection.sendall(self.request(body, self.dice.choice(["/rerank", "/v1/rerank"])))
        connection.recv(4096)


def broken(good, kind, path):
    """A file in the place of a model that must not be taken."""
    content = bytearray(good)
    if kind == "fifo":
        os.mkfifo(path)
        return
    if kind == "sparse":
        Path(path).write_bytes(content[: len(content) // 2])
        os.truncate(path, 1 << 40)
        return
    if kind == "garbage":
        content = bytearray(random.Random(len(content)).randbytes(100_000))
    elif kind == "cut":
        content = content[: len(content) // 3]
    elif kind == "flipped":
        content[len(content) // 2] ^= 16
    Path(path).write_bytes(content)


def exchange(server, good, model, kind):
    """Offers a broken model, then the good one."""
    new = f"{model}.new"
    broken(good, kind, new)
    os.rename(new, model)
    server.process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    if kind == "fifo":
        # A reader that waits sees the end.
        try:
            os.close(os.open(model, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            pass
    Path(new).write_bytes(good)
    os.rename(new, model)
    server.process.send_signal(signal.SIGHUP)


class Soak:
    def __init__(self, args, model):
        self.args, self.model, self.good = args, model, Path(model).read_bytes()
        self.site, self.taken, self.refused = Site(), 0, 0
        self.command = args.binary, "--model", model
        self.server = None

    def start(self, port=0):
        log = "error,lanerank_server::server=info"
        self.server = Server(*self.command, port=port, log=log).__enter__()
        self.site.address = self.server.url.removeprefix("http://").split(":")
        self.site.starts += 1
        self.site.up.set()

    def note(self):
        """What ends with the process."""
        metric = 'lanerank_reloads_total{model="m",outcome="%s"} '
        self.taken += self.server.metric(metric % "taken")
        self.refused += self.server.metric(metric % "refused")
        backend = self.server.metric('lanerank_rejected_total{reason="backend"} ')
        assert backend == 0, f"{backend} requests failed inside the server"
        peak = self.server.peak()
        assert peak < self.args.memory * 1e6, f"{peak / 1e6:.0f} MB were resident"
        return peak

    def restart(self):
        self.note()
        self.site.up.clear()
        killed = time.time()
        self.server.kill()
        self.start(self.site.address[1])
        print(f"killed, and serving again after {1e3 * (time.time() - killed):.0f} ms")

    def run(self, clients, begin, end):
        ticks, samples = 36, []
        kinds = ["garbage", "fifo", "cut", "sparse", "flipped"]
        for tick in range(1, ticks + 1):
            time.sleep(max(0, begin + (end - begin) * tick / ticks - time.time()))
            if failures := [c.failure for c in clients if c.failure]:
                return failures, samples
            if tick in (ticks // 6, ticks // 3):
                self.restart()
            elif tick < ticks:
                exchange(self.server, self.good, self.model, kinds[tick % len(kinds)])
            rss, files = self.server.rss(), self.server.metric("process_open_fds ")
            samples.append(rss)
            total = sum(c.counts.get(200, 0) for c in clients)
            print(
                f"{time.time() - begin:7.0f} s  {rss / 1e6:7.1f} MB  {files:4.0f} files  "
                f"{total} right answers",
                flush=True,
            )
        return [], samples


def summed(threads):
    counts = {}
    for thread in threads:
        for what, n in thread.counts.items():
            counts[what] = counts.get(what, 0) + n
    return counts


def attack(soak, args, pairs):
    """Runs all clients. Returns the peak of memory and its samples."""
    begin = time.time()
    end = begin + 60 * args.minutes
    clients = [Good(soak.site, pairs, seed, end) for seed in range(args.clients)]
    hostile = [Bad(soak.site, seed, end) for seed in range(args.hostile)]
    for thread in clients + hostile:
        thread.start()
    failures, samples = soak.run(clients, begin, end)
    for client in clients if not failures else []:
        client.join(90)
    failures = [c.failure or "still running" for c in clients if c.failure or c.is_alive()]
    assert not failures, failures
    for thread in hostile:
        thread.join(30)
    peak = soak.note()
    # The server notices that the last hostile clients are gone, at the latest by its timeouts.
    patience = time.time() + 30
    while in_flight := soak.server.metric("lanerank_requests_in_flight "):
        assert time.time() < patience, f"{in_flight:.0f} requests never ended"
        time.sleep(0.1)
    stopped = time.time()
    soak.server.__exit__()
    print(f"stopped {time.time() - stopped:.1f} s after SIGTERM")
    times = sorted(took for client in clients for took in client.times)
    print(f"well-behaved: {summed(clients)}; hostile: {summed(hostile)}")
    print(f"models: {soak.taken:.0f} taken, {soak.refused:.0f} refused")
    p99, most = times[int(0.99 * len(times))], times[-1]
    print(f"time of an answer: p99 {1e3 * p99:.0f} ms, most {1e3 * most:.0f} ms")
    return peak, samples


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("binary")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--model", default=ROOT / "src/assets/default.lane")
    parser.add_argument("--clients", type=int, default=6, help="well-behaved ones")
    parser.add_argument("--hostile", type=int, default=12, help="hostile ones")
    parser.add_argument("--memory", type=float, default=MEMORY / 1e6, help="most MB resident")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        model = f"{tmp}/m.lane"
        shutil.copy(args.model, model)
        pairs = known(args.binary, model, random.Random(0))
        soak = Soak(args, model)
        soak.start()
        try:
            peak, samples = attack(soak, args, pairs)
        finally:
            soak.server.process.kill()
    assert soak.refused > 0, "no broken model was refused"
    sixth = len(samples) // 6
    before, last = max(samples[-2 * sixth : -sixth]), max(samples[-sixth:])
    print(
        f"resident memory: {before / 1e6:.1f} MB in the fifth sixth, {last / 1e6:.1f} MB in the "
        f"last, at most {peak / 1e6:.1f} MB"
    )
    sys.exit(args.minutes >= 10 and last - before > max(0.1 * before, 8e6))


if __name__ == "__main__":
    main()
