"""A running `lanerank serve` for the scripts of this folder."""

import json, re, struct, subprocess, threading, urllib.request
from pathlib import Path

#: The most resident memory that hostile requests may make a server with small models take.
MEMORY = 512e6
ROOT = Path(__file__).resolve().parents[3]


class Server:
    """Runs the binary on a free port, or on the given one, for the length of a `with`."""

    def __init__(self, binary, *args, port=0, env=None, log="warn,lanerank_server=info"):
        self.command = [
            binary,
            "serve",
            "--listen",
            f"127.0.0.1:{port}",
            "--log",
            log,
            *map(str, args),
        ]
        self.env, self.killed = env, False

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stderr=subprocess.PIPE, text=True, env=self.env
        )
        for line in self.process.stderr:
            if found := re.search(r"listening on http://([\d.:]+)", line):
                self.url = "http://" + found[1]
                break
        else:
            raise SystemExit(f"{self.command}: did not start")
        # Drain the rest of the log, or the pipe would fill.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        return self

    def kill(self):
        """Kills it, with no chance to clean up."""
        self.process.kill()
        self.process.wait()
        self.killed = True

    def __exit__(self, *_):
        if not self.killed:
            self.process.terminate()
            assert self.process.wait(60) == 0, "did not end well"

    def post(self, path, body, headers=None):
        headers = {"content-type": "application/json", **(headers or {})}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def metric(self, line):
        """The value of one line of /metrics."""
        with urllib.request.urlopen(self.url + "/metrics") as page:
            for found in page.read().decode().splitlines():
                if found.startswith(line):
                    return float(found[len(line) :])
        return 0.0

    def rss(self):
        """Resident memory in bytes."""
        return self.metric("process_resident_memory_bytes ")

    def peak(self):
        """The most memory that was ever resident, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024


def f32(x):
    """The nearest 32-bit float."""
    return struct.unpack("<f", struct.pack("<f", x))[0]


def known_scores(binary, query, texts, model=None):
    """The score of each text by the command line, as 32-bit floats."""
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    command = [binary, "rerank", "--query", query, "--json", "--format", "jsonl"]
    command += ["--model", str(model)] if model else []
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    ranked = sorted(json.loads(done.stdout), key=lambda hit: hit["index"])
    return [f32(hit["score"]) for hit in ranked]
