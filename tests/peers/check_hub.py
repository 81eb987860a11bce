#!/usr/bin/env python3
"""Checks that lanerank and Python's huggingface_hub share one cache, using a local fake hub.

    pip install huggingface_hub && python tests/peers/check_hub.py target/release/lanerank

The model is tests/data/model/old-names as `org/tiny`. huggingface_hub must find what lanerank
pulled without the network, find no fault with it and not fetch it again. lanerank must use what
huggingface_hub fetched without the network and produce the same model file. Each must resume a
partial download of the other.
"""

import hashlib, json, os, subprocess, sys, tempfile, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "1234567890" * 4
MODEL = Path(__file__).parents[1] / "data/model/old-names"
FILES = {
    name: (MODEL / name).read_bytes()
    for name in ["config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"]
}
FETCH = """
import huggingface_hub as h
print(h.snapshot_download("org/tiny", allow_patterns=%r, local_files_only=%r))
"""
LOOK = """
import huggingface_hub as h
for name in %r:
    print(open(h.hf_hub_download("org/tiny", name, local_files_only=True), "rb").read().hex())
assert h.try_to_load_from_cache("org/tiny", "tokenizer.json") is h.file_download._CACHED_NO_EXIST
info = h.scan_cache_dir()
assert not info.warnings, info.warnings
[repo] = info.repos
[revision] = repo.revisions
assert (repo.repo_id, revision.commit_hash, revision.refs) == ("org/tiny", %r, {"main"}), repo
assert {f.file_name for f in revision.files} == set(%r), revision.files
"""


def etag(name):
    content = FILES[name]
    if name.endswith(".safetensors"):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Hub(BaseHTTPRequestHandler):
    """The API, and file addresses; large files redirect to the store."""

    asked, store = [], None

    def log_message(self, *_):
        pass

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        path = self.path.split("?")[0]
        resolve = "/org/tiny/resolve/"
        if path in (
            "/api/models/org/tiny/revision/main",
            f"/api/models/org/tiny/revision/{COMMIT}",
            "/api/models/org/tiny",
        ):
            info = {
                "id": "org/tiny",
                "sha": COMMIT,
                "siblings": [{"rfilename": name} for name in FILES],
            }
            return self.reply(200, json.dumps(info).encode(), Content_Type="application/json")
        if path == f"/api/models/org/tiny/tree/{COMMIT}":
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": etag(name)}
                for name, content in FILES.items()
            ]
            for entry in tree:
                if len(entry["oid"]) == 64:
                    entry |= {
                        "lfs": {"oid": entry["oid"], "size": entry["size"], "pointerSize": 133},
                        "oid": "0" * 40,
                    }
            return self.reply(200, json.dumps(tree).encode(), Content_Type="application/json")
        if not path.startswith(resolve):
            return self.reply(404, X_Error_Code="RepoNotFound")
        name = path.removeprefix(resolve).split("/", 1)[1]
        if name not in FILES:
            return self.reply(404, X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)
        common = {
            "X_Repo_Commit": COMMIT,
            "X_Linked_Etag": f'"{etag(name)}"',
            "X_Linked_Size": len(FILES[name]),
        }
        if len(etag(name)) == 64:
            return self.reply(302, Location=f"{self.store}/{name}", **common)
        self.count(name)
        return self.reply(200, FILES[name], ETag=f'"{etag(name)}"', **common)

    do_HEAD = do_GET

    def count(self, name):
        """Counts contents where they are sent: huggingface_hub goes to the store directly."""
        if self.command == "GET":
            self.asked.append(name)


class Store(Hub):
    def do_GET(self):
        self.count(self.path[1:])
        content = FILES[self.path[1:]]
        start = int(self.headers.get("Range", "bytes=0-")[6:].split("-")[0])
        if start:
            return self.reply(
                206,
                content[start:],
                Content_Range=f"bytes {start}-{len(content) - 1}/{len(content)}",
            )
        self.reply(200, content)

    do_HEAD = do_GET


def serve(handler):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def run(args, home, offline=False):
    """Standard output, and the files that the hub sent."""
    Hub.asked.clear()
    keep = {
        name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_"))
    }
    env = keep | {
        "HF_HOME": str(home / "hf"),
        "LANERANK_CACHE": str(home / "lanes"),
        "HF_ENDPOINT": HUB,
        "HF_HUB_OFFLINE": str(int(offline)),
        "NO_PROXY": "127.0.0.1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    done = subprocess.run(args, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"FAILED: {args}\n{done.stdout}{done.stderr}")
    return done.stdout.strip(), sorted(Hub.asked)


def check(what, right):
    print("ok  " if right else "FAIL", what)
    if not right:
        sys.exit(1)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    binary, python, everything = sys.argv[1], [sys.executable, "-c"], sorted(FILES)
    with tempfile.TemporaryDirectory() as tmp:
        ours, theirs, half, whole = (
            Path(tmp) / name for name in ["ours", "theirs", "half", "whole"]
        )

        lane, asked = run([binary, "models", "pull", "org/tiny"], ours)
        check("lanerank fetches each file once", asked == everything)
        text, asked = run([*python, LOOK % (everything, COMMIT, everything)], ours, offline=True)
        check(
            "huggingface_hub finds what lanerank pulled",
            [bytes.fromhex(line) for line in text.split()] == [FILES[n] for n in everything],
        )
        _, asked = run([*python, FETCH % (everything, False)], ours)
        check("and does not fetch it again", asked == [])

        run([*python, FETCH % (everything, False)], theirs)
        layout = lambda home: sorted(
            str(p.relative_to(home))
            for p in (home / "hf/hub/models--org--tiny").rglob("*")
            if not {".no_exist", "trees"} & set(p.parts)
        )
        check("both fill the same layout", layout(ours) == layout(theirs))
        locks = lambda home: sorted(p.name for p in (home / "hf/hub/.locks").rglob("*.lock"))
        check("and both use the same lock names", not locks(theirs) or locks(ours) == locks(theirs))
        path, asked = run([binary, "models", "path", "org/tiny"], theirs, offline=True)
        check("lanerank uses what huggingface_hub fetched, without the network", asked == [])
        same = (
            Path(path).name == Path(lane).name
            and Path(path).read_bytes() == Path(lane).read_bytes()
        )
        check("and makes the same model file from it", same)

        run([*python, FETCH % (["config.json", "vocab.txt"], False)], half)
        _, asked = run([binary, "models", "pull", "org/tiny"], half)
        check(
            "lanerank completes a partial download of huggingface_hub",
            asked == ["model.safetensors", "tokenizer_config.json"],
        )
        run([binary, "models", "pull", "org/tiny"], whole)
        blob = whole / "hf/hub/models--org--tiny/blobs" / etag("model.safetensors")
        blob.unlink()
        (whole / "hf/hub/models--org--tiny/snapshots" / COMMIT / "model.safetensors").unlink()
        _, asked = run([*python, FETCH % (everything, False)], whole)
        check(
            "huggingface_hub completes a partial download of lanerank",
            asked == ["model.safetensors"] and blob.is_file(),
        )


HUB = serve(Hub)
Hub.store = serve(Store)

if __name__ == "__main__":
    main()
