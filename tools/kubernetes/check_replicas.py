#!/usr/bin/env python3
"""Replicas of `lanerank serve` behind nginx: requests/s of one and of two replicas, and no lost
request while one of them is restarted or killed.

    python tools/kubernetes/check_replicas.py target/release/lanerank [--model FILE]
        [--seconds 5] [--rounds 3]

Needs nginx (Debian: nginx-light). Every answer is compared with `lanerank rerank`'s, bit for bit.
Rates are printed, not judged.
"""

import argparse, http.client, json, os, random, shutil, socket, statistics, subprocess, sys
import tempfile, threading, time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools/server/checks"))
from common import Server
from load import processor_seconds

WORDS = (
    "bread keeps fresh in a paper bag the lighthouse was built of stone "
    "water runs on rust never sleeps"
).split()


class Nginx:
    """nginx with `nginx.conf`, in front of the replicas at these ports."""

    def __init__(self, folder, ports):
        self.folder = Path(folder)
        self.folder.mkdir(mode=0o755)
        shutil.copy(HERE / "nginx.conf", self.folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (self.folder / "listen.conf").write_text(f"listen 127.0.0.1:{self.port};\n")
        replicas = [f"server 127.0.0.1:{port} max_fails=1 fail_timeout=1s;\n" for port in ports]
        (self.folder / "replicas.conf").write_text("".join(replicas))

    def __enter__(self):
        command = [
            "nginx",
            "-p",
            str(self.folder),
            "-c",
            "nginx.conf",
            "-e",
            "error.log",
            "-g",
            "daemon off;",
        ]
        self.process = subprocess.Popen(command)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return self
            except ConnectionRefusedError:
                time.sleep(0.05)
        raise SystemExit("nginx did not start:\n" + (self.folder / "error.log").read_text())

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)

    def processor_seconds(self):
        """CPU time of its worker."""
        pid = self.process.pid
        return sum(
            processor_seconds(int(child))
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        )

    def log(self):
        """For each request: its status, and the replicas that it went to with their statuses."""
        lines = [
            line.replace(", ", ",").split()
            for line in (self.folder / "access.log").read_text().splitlines()
        ]
        return [
            (int(status), list(zip(addresses.split(","), upstream.split(","))))
            for status, upstream, addresses in lines
        ]


class Question:
    """A request and its expected answer."""

    def __init__(self, binary, model, seed, passages):
        rand = random.Random(seed)
        text = lambda most: " ".join(rand.choices(WORDS, k=rand.randrange(1, most)))
        query, texts = text(12), [text(120) for _ in range(passages)]
        self.body = json.dumps({"query": query, "texts": texts}).encode()
        command = [
            binary,
            "rerank",
            "--json",
            "--query",
            query,
            *(["--model", model] if model else []),
        ]
        lines = "".join(json.dumps({"text": t}) + "\n" for t in texts)
        hits = json.loads(
            subprocess.run(command, input=lines, capture_output=True, text=True, check=True).stdout
        )
        self.answer = [(hit["index"], hit["score"]) for hit in hits]


class Client(threading.Thread):
    """Sends requests in a loop and counts right and wrong answers. Never retries."""

    def __init__(self, port, questions, seed, stop):
        super().__init__(daemon=True)
        self.port, self.questions, self.random, self.stop = (
            port,
            questions,
            random.Random(seed),
            stop,
        )
        self.right, self.wrong = 0, []

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while not self.stop.is_set():
            question = self.random.choice(self.questions)
            try:
                connection.request(
                    "POST", "/rerank", question.body, {"content-type": "application/json"}
                )
                answer = connection.getresponse()
                content = answer.read()
                assert answer.status == 200, (answer.status, content)
                assert [(r["index"], r["score"]) for r in json.loads(content)] == question.answer, (
                    "other scores"
                )
                self.right += 1
            except Exception as e:
                self.wrong.append(repr(e))
                connection.close()


class Load:
    """Runs clients during the `with`; at its end asserts that no answer is wrong or missing."""

    def __init__(self, nginx, questions, clients):
        self.nginx, self.stop = nginx, threading.Event()
        self.clients = [Client(nginx.port, questions, seed, self.stop) for seed in range(clients)]

    def __enter__(self):
        self.logged, self.begin = len(self.nginx.log()), time.monotonic()
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for client in self.clients:
            client.join(90)
            assert not client.is_alive(), "a request never ended"
        self.seconds = time.monotonic() - self.begin
        self.right = sum(client.right for client in self.clients)
        wrong = [w for client in self.clients for w in client.wrong]
        assert not wrong, f"{len(wrong)} lost or wrong: {wrong[:3]}"
        log = self.nginx.log()[self.logged :]
        assert len(log) == self.right, "nginx and the clients count different numbers"
        self.retried = sum(len(went) > 1 for _, went in log)
        self.replicas = {went[-1][0] for _, went in log}


def scaling(nginxes, replicas, questions, args):
    rates = {count: [] for count in nginxes}
    parts = lambda: [
        sum(processor_seconds(r.process.pid) for r in replicas),
        sum(n.processor_seconds() for n in nginxes.values()),
        time.process_time(),
    ]
    begin = parts()
    for _ in range(args.rounds):
        for count, nginx in nginxes.items():
            with Load(nginx, questions, args.clients) as load:
                time.sleep(args.seconds)
            rates[count].append(load.right / load.seconds)
            assert len(load.replicas) == count, "a replica got no request"
    one, two = (statistics.median(rates[count]) for count in (1, 2))
    print(
        f"requests/s of 100 passages: {one:.1f} with one replica, {two:.1f} with two: "
        f"{two / one:.2f} times"
    )
    total = sum(len(nginx.log()) for nginx in nginxes.values())
    replica, proxy, client = (
        1e3 * (after - before) / total for before, after in zip(begin, parts())
    )
    print(
        f"CPU ms per request: {replica:.2f} in a replica, {proxy:.2f} in nginx, "
        f"{client:.2f} in the clients"
    )


class Replica(Server):
    """A server with one thread, running once constructed."""

    def __init__(self, args, port=0):
        super().__init__(
            args.binary, "--threads", 1, *(["--model", args.model] if args.model else []), port=port
        )
        self.__enter__()
        self.port = int(self.url.rsplit(":", 1)[1])

    def stop(self):
        """SIGTERM: it finishes its requests, and must exit with 0."""
        self.__exit__()


def restart(nginx, replicas, questions, args, kill):
    """Ends each replica under load, `--restarts` times, and restarts it on its port."""
    with Load(nginx, questions, args.clients) as load:
        for i in range(2 * args.restarts):
            time.sleep(1.5)  # nginx retries a failed replica after a second.
            old = replicas[i % 2]
            old.kill() if kill else old.stop()
            time.sleep(0.5)
            replicas[i % 2] = Replica(args, old.port)
        time.sleep(1.5)
    how = "killed (SIGKILL)" if kill else "restarted (SIGTERM)"
    print(
        f"{2 * args.restarts} times a replica {how} under load: {load.right} requests, "
        f"all answered and right; "
        f"{load.retried} were retried on the other replica"
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("binary")
    parser.add_argument("--model")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--restarts", type=int, default=3, help="restarts of each replica")
    parser.add_argument("--clients", type=int, default=4)
    args = parser.parse_args()
    few = [Question(args.binary, args.model, seed, 1 + 5 * seed) for seed in range(5)]
    hundred = [Question(args.binary, args.model, seed, 100) for seed in range(4)]
    replicas = [Replica(args), Replica(args)]
    try:
        with tempfile.TemporaryDirectory() as tmp:
            os.chmod(tmp, 0o755)  # If nginx is started as root, its workers run as nobody.
            ports = [replica.port for replica in replicas]
            with Nginx(f"{tmp}/one", ports[:1]) as one, Nginx(f"{tmp}/two", ports) as two:
                scaling({1: one, 2: two}, replicas, hundred, args)
                restart(two, replicas, few, args, kill=False)
                restart(two, replicas, few, args, kill=True)
    finally:
        for replica in replicas:
            replica.stop()


if __name__ == "__main__":
    main()
