#!/usr/bin/env python3
"""Pairs per second of Ray Data, Spark and DataFusion with one and two workers, and of a plain loop.

    cargo build --release --manifest-path tools/datafusion/Cargo.toml
    python tools/python/benches/scale.py [--datafusion BINARY] [--pairs N] [--rounds N]
                                         [--engines ray,spark]

Needs the packages of ../integration_tests/requirements.txt, and for Spark a Java. A job reads
Parquet, scores every row with the embedded model, and adds up the scores. In each round the loop
and the job take turns on all pairs and on a tenth of them. The difference is the time of the pairs;
the rest of the smaller job's time is the fixed cost of a job. Prints the medians of the rounds, the
bytes of a pair, and figures for more machines, which are computed as ../SCALE.md explains.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration_tests"))
os.environ["PYSPARK_PYTHON"] = sys.executable

from pairs import pairs, single_process, write_parquet  # noqa: E402

FILES = 16
WORKERS = (1, 2)

# Assumed, not measured. Bytes and seconds.
MACHINES = (1, 10, 100, 1000)
MACHINE_NETWORK = 1.25e9  # of one machine, per second: 10 Gbit/s
STORE_NETWORK = 5e9  # of the store for all machines, per second: 40 Gbit/s
TASK_PAIRS = 10_000
TASK_SECONDS = 0.005  # of the one scheduler, per task
JOB_PAIRS = 1e9


class Ray:
    def start(self, workers, folder):
        import ray

        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
        ray.data.DataContext.get_current().enable_progress_bars = False
        self.workers = workers
        self.run(folder)

    def run(self, folder):
        import ray

        from lanerank.ray import score

        pairs = ray.data.read_parquet(folder, override_num_blocks=FILES)
        score(pairs, workers=self.workers).sum("score")

    def stop(self):
        import ray

        ray.shutdown()


class Spark:
    def start(self, workers, folder):
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.master(f"local[{workers}]").config(
            "spark.ui.enabled", "false"
        )
        # One task per file.
        self.session = builder.config("spark.sql.files.openCostInBytes", "128m").getOrCreate()
        self.session.sparkContext.setLogLevel("ERROR")
        self.run(folder)

    def run(self, folder):
        from lanerank.spark import score

        score(self.session.read.parquet(folder)).agg({"score": "sum"}).collect()

    def stop(self):
        self.session.stop()


class DataFusion:
    """A process for each job: its start is part of the fixed cost of a job."""

    def __init__(self, binary):
        self.binary = binary

    def start(self, workers, folder):
        self.workers = str(workers)
        self.run(folder)

    def run(self, folder):
        sql = "SELECT sum(rerank_score(query, passage)) FROM pairs"
        subprocess.run(
            [self.binary, folder, sql, self.workers], check=True, stdout=subprocess.DEVNULL
        )

    def stop(self):
        pass


def seconds(call, argument):
    start = time.perf_counter()
    call(argument)
    return time.perf_counter() - start


def measure(engine, workers, sizes, rounds):
    """Microseconds of a pair in the loop and in the job, and the fixed seconds of a job."""
    (few, few_folder), (many, many_folder) = sizes
    difference = len(many["id"]) - len(few["id"])
    found = []
    engine.start(workers, few_folder)
    for _ in range(rounds):
        loop = seconds(single_process, many) - seconds(single_process, few)
        small, large = seconds(engine.run, few_folder), seconds(engine.run, many_folder)
        each = (large - small) / difference
        found.append((loop / difference * 1e6, each * 1e6, small - each * len(few["id"])))
    engine.stop()
    return [statistics.median(values) for values in zip(*found)]


def wire_bytes(columns):
    """Bytes of a pair in Arrow's format: as a row, in (query, list of candidates), and of the id
    and score of the result."""
    import pyarrow
    from pyarrow import ipc
    from pairs import CANDIDATES

    def sent(table):
        sink = pyarrow.BufferOutputStream()
        with ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=1024)
        return sink.getvalue().size / len(columns["id"])

    table = pyarrow.table(columns)
    starts = range(0, len(columns["id"]), CANDIDATES)
    lists = {
        "query": [columns["query"][i] for i in starts],
        "candidates": [columns["passage"][i : i + CANDIDATES] for i in starts],
    }
    scores = pyarrow.array([0.5] * table.num_rows, pyarrow.float32())
    result = pyarrow.table({"id": table["id"], "score": scores})
    return sent(table), sent(pyarrow.table(lists)), sent(result)


def extrapolate(name, microseconds, start, pair_bytes):
    """Pairs per second of this many machines with two cores each, and the bottleneck."""
    for machines in MACHINES:
        bounds = {
            "cores": machines * 2 / microseconds * 1e6,
            "a machine's network": machines * MACHINE_NETWORK / pair_bytes,
            "the store": STORE_NETWORK / pair_bytes,
            "the scheduler": TASK_PAIRS / TASK_SECONDS,
        }
        bound = min(bounds, key=bounds.get)
        total = start + JOB_PAIRS / bounds[bound] + TASK_PAIRS * microseconds / 1e6
        print(
            f"| {name} | {machines} | {bounds[bound]:,.0f} | {bound} | {total / 60:,.1f} "
            f"| {JOB_PAIRS / total / (bounds['cores'] / machines):,.1f} |"
        )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--datafusion", default="tools/datafusion/target/release/lanerank-datafusion"
    )
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", default="ray,spark,datafusion")
    args = parser.parse_args()
    made = {"ray": Ray, "spark": Spark, "datafusion": lambda: DataFusion(args.datafusion)}
    engines = {name: made[name]() for name in args.engines.split(",")}
    with tempfile.TemporaryDirectory() as folder:
        sizes = []
        for count in (args.pairs // 10, args.pairs):
            sizes.append((pairs(count), str(Path(folder) / str(count))))
            write_parquet(sizes[-1][0], Path(sizes[-1][1]), FILES)
        row, in_lists, result = wire_bytes(sizes[-1][0])
        print(
            f"bytes of a pair in Arrow: {row:.0f} as a row, {in_lists:.0f} in lists, "
            f"{result:.0f} of its result\n"
        )
        print(
            "| engine | workers | loop, us per pair | job, us per pair | pairs/s "
            "| over the loop, us of a core | fixed cost, s |"
        )
        print("|---|---|---|---|---|---|---|")
        each = {}
        for name, engine in engines.items():
            for workers in WORKERS:
                loop, job, start = measure(engine, workers, sizes, args.rounds)
                if job <= 0:
                    print(
                        f"| {name} | {workers} | too few pairs to measure their time |",
                        flush=True,
                    )
                    continue
                more = job * workers - loop
                print(
                    f"| {name} | {workers} | {loop:.1f} | {job:.1f} | {1e6 / job:,.0f} "
                    f"| {more:+.1f} | {start:.1f} |",
                    flush=True,
                )
                each[name] = (job * workers, start)
    print(f"\nComputed: machines of two cores, {JOB_PAIRS:,.0f} pairs\n")
    print("| engine | machines | pairs/s | bound by | minutes | as many times one machine |")
    print("|---|---|---|---|---|---|")
    for name, (microseconds, start) in each.items():
        extrapolate(name, microseconds, start, row + result)


if __name__ == "__main__":
    main()
