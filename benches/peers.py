#!/usr/bin/env python3
"""Compares lanerank with other engines in alternation: ours, a peer, ours, the next peer, .., ours.

    python3 -m venv V
    V/bin/pip install numpy tokenizers onnxruntime flashrank openvino ctranslate2
    cargo build --release -p lanerank-cli --features full
    benches/peers.py target/release/lanerank MODELS --shared ../shared/peers --python V/bin/python

SHARED has the peers' programs (bench.py; those of --rust-bin, built) and the requests
(workload.json); its make_models.py writes the folders of MODELS: tinybert, minilm12, multibert.
lanerank's model is converted from the same folder. All run pinned to --cores with one thread per
core, from text to sorted scores. Prints Markdown tables of the median milliseconds, and of the
peer's time as a multiple of the mean of our runs before and after it. Names and skips peers whose
packages or programs are missing. Exit code 2 when there is nothing to compare.
"""

import argparse, json, os, subprocess, sys, tempfile
from pathlib import Path

PACKAGES = {
    "flashrank": "flashrank",
    "ort": "onnxruntime",
    "ortopt": "onnxruntime",
    "ov": "openvino",
    "ct2": "ctranslate2",
    "torch": "torch",
    "st": "sentence_transformers",
}
PROGRAMS = ["candle", "rten", "tract", "fastembed"]
DEFAULT = "flashrank-int8,ort-int8,ov-bf16,ct2-int8,ort-fp32,ct2-fp32"


def arguments():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("binary", type=Path, help="the lanerank program")
    p.add_argument("models", type=Path)
    p.add_argument("--shared", type=Path, default=Path("../shared/peers"))
    p.add_argument(
        "--python", default=sys.executable, help="an interpreter with the peers' packages"
    )
    p.add_argument("--rust-bin", type=Path, help="folder with the programs of the Rust peers")
    p.add_argument("--shape", default="tinybert")
    p.add_argument("--peers", default=DEFAULT, help=f"[default: {DEFAULT}]")
    p.add_argument("--requests", default="seed,rerank100,long,single")
    p.add_argument("--dtype", default="int8", help="dtype of our model file")
    p.add_argument("--activations", help="as for `lanerank convert`")
    p.add_argument("--isa", help="our tier [default: the best]")
    p.add_argument("--cores", default=str(max(os.sched_getaffinity(0))), help="such as 1, or 0,1")
    p.add_argument("--batch", help="the peers' batch size [default: each at its best]")
    return p.parse_args()


def stop(reason):
    print(f"benches/peers.py: {reason}", file=sys.stderr)
    sys.exit(2)


def missing(args):
    """{peer: reason} for each requested peer that cannot run."""
    wanted = {
        PACKAGES[p.split("-")[0]] for p in args.peers.split(",") if p.split("-")[0] in PACKAGES
    }
    probe = (
        "import importlib.util, sys; "
        "print(*[m for m in sys.argv[1:] if not importlib.util.find_spec(m)])"
    )
    try:
        found = subprocess.run(
            [args.python, "-c", probe, "tokenizers", "numpy", *wanted],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        stop(f"--python: {error}")
    absent, why = set(found.stdout.split()), {}
    for peer in args.peers.split(","):
        engine = peer.split("-")[0]
        if engine in PACKAGES:
            lacks = absent & {"tokenizers", "numpy", PACKAGES[engine]}
            if lacks:
                why[peer] = f"{args.python} lacks {', '.join(sorted(lacks))}"
        elif engine not in PROGRAMS:
            why[peer] = "no such peer"
        elif not args.rust_bin or not (args.rust_bin / engine).exists():
            why[peer] = f"no program {engine} in {args.rust_bin or '--rust-bin'}"
    return why


class Runner:
    def __init__(self, args, folder):
        self.args, self.model, self.workload = args, folder / "ours.lane", folder / "workload.json"
        requests = json.loads((args.shared / "workload.json").read_text("utf-8"))
        unknown = [name for name in args.requests.split(",") if name not in requests]
        if unknown:
            stop(
                f"no request {', '.join(unknown)} in {args.shared / 'workload.json'}: "
                f"{', '.join(requests)}"
            )
        self.workload.write_text(
            json.dumps({name: requests[name] for name in args.requests.split(",")}), "utf-8"
        )
        self.cores = {int(core) for core in args.cores.split(",")}
        threads = str(len(self.cores))
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")} | {
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": str(threads != "1").lower(),
            **{f"{x}_NUM_THREADS": threads for x in ("OMP", "MKL", "RAYON", "RTEN")},
        }
        libraries = Path(args.python).parent.parent.glob(
            "lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so*"
        )
        self.env |= {"ORT_DYLIB_PATH": str(library) for library in sorted(libraries)}

    def run(self, *command, **env):
        done = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            env=self.env | env,
            preexec_fn=lambda: os.sched_setaffinity(0, self.cores),
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise RuntimeError(lines[-1][:200])
        return done.stdout

    def ours(self):
        """{request: median ms}"""
        out = self.run(
            self.args.binary,
            "bench",
            "--model",
            self.model,
            "--threads",
            len(self.cores),
            "--json",
            "--workload",
            self.workload,
            **({"LANERANK_ISA": self.args.isa} if self.args.isa else {}),
        )
        report = json.loads(out)
        self.tier = report["kernels"]
        return {row["name"]: row["median_ms"] for row in report["requests"]}

    def peer(self, peer):
        engine, kind = peer.split("-", 1)
        program = (
            [self.args.rust_bin / engine, "--kind", kind]
            if engine in PROGRAMS
            else [self.args.python, self.args.shared / "bench.py", "--peer", peer]
        )
        batch = ["--batch", self.args.batch] if self.args.batch else []
        out = self.run(
            *program,
            "--model",
            self.args.models / self.args.shape,
            "--threads",
            len(self.cores),
            "--workloads",
            self.args.requests,
            *batch,
        )
        rows = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        return {row["workload"]: row["e2e_ms"] for row in rows}


def table(heading, requests, rows, form):
    lines = [f"| {heading} | " + " | ".join(requests) + " |", "|---" * (len(requests) + 1) + "|"]
    for name, cells in rows:
        shown = [form(cells[r]) if cells.get(r) is not None else "-" for r in requests]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def main():
    args = arguments()
    for what in (
        args.shared / "bench.py",
        args.shared / "workload.json",
        args.models / args.shape / "config.json",
        args.binary,
    ):
        if not what.exists():
            stop(f"{what} is missing; see --help")
    why = missing(args)
    for peer, reason in why.items():
        print(f"{peer}: skipped, {reason}", file=sys.stderr)
    peers = [peer for peer in args.peers.split(",") if peer not in why]
    if not peers:
        stop("no peer can run")
    requests = args.requests.split(",")
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(args, Path(folder))
        activations = ["--activations", args.activations] if args.activations else []
        runner.run(
            args.binary,
            "convert",
            args.models / args.shape,
            "-o",
            runner.model,
            "--dtype",
            args.dtype,
            *activations,
        )
        ours, theirs = [runner.ours()], {}
        for peer in peers:
            try:
                theirs[peer] = runner.peer(peer)
            except RuntimeError as error:
                print(f"{peer}: failed: {error}", file=sys.stderr)
                continue
            ours.append(runner.ours())
            print(f"{peer}: done", file=sys.stderr)
    if not theirs:
        stop("no peer ran")
    mean = lambda runs, r: sum(run[r] for run in runs) / len(runs)
    rows = [
        (f"**lanerank {args.dtype}**, {runner.tier}", {r: mean(ours, r) for r in requests}),
        *theirs.items(),
    ]
    rows.sort(key=lambda row: row[1].get("rerank100", 0))
    around = {peer: ours[i : i + 2] for i, peer in enumerate(theirs)}
    ratios = [
        (peer, {r: ms[r] / mean(around[peer], r) for r in requests if r in ms})
        for peer, ms in theirs.items()
    ]
    digits = lambda x: (
        f"{x:.3f}" if x < 1 else f"{x:.2f}" if x < 10 else f"{x:.1f}" if x < 100 else f"{x:.0f}"
    )
    print(table(f"{args.shape}, median ms", requests, rows, digits))
    print()
    print(table("times as long as ours", requests, ratios, digits))


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as error:  # of our own binary
        stop(error)
