#!/usr/bin/env python3
"""Makes random models of a shape with several seeds, and ONNX Runtime's logits of each.

    python tests/peers/make_seeds.py OUT [--peers ../shared/peers]
        [--shape tinybert --shape minilm12] [--seeds 5]
    python tests/peers/make_seeds.py --logits-only FOLDER...

The Kendall tau between int8 and f32 of one random model varies by a few points; the mean over five
is stable. Writes OUT/<shape>-<seed>/{config.json, vocab.txt, tokenizer.json, ...,
model.safetensors, model.onnx, ort_logits.json}; the first seed is that of make_models.py.
`--logits-only` writes ort_logits.json ({request: [logit of each passage]}) into existing folders.
"""

import argparse, importlib.util, json, sys
from pathlib import Path
import common

ap = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
ap.add_argument("folders", nargs="+", type=Path, metavar="OUT")
ap.add_argument("--peers", type=Path, default=Path("../shared/peers"))
ap.add_argument("--shape", action="append")
ap.add_argument("--seeds", type=int, default=5)
ap.add_argument("--logits-only", action="store_true")
a = ap.parse_args()
workload = json.loads((a.peers / "workload.json").read_text("utf-8"))


def write_logits(folder):
    (folder / "ort_logits.json").write_text(json.dumps(common.ort_logits(folder, workload)))
    print(folder, flush=True)


if a.logits_only:
    for folder in a.folders:
        write_logits(folder)
    sys.exit()

spec = importlib.util.spec_from_file_location("make_models", a.peers / "make_models.py")
make_models = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_models)
from safetensors.numpy import load_file

for shape in a.shape or ["tinybert", "minilm12"]:
    own = make_models.SEEDS[shape]
    for seed in [own + 100 * i for i in range(a.seeds)]:
        make_models.SEEDS[shape] = seed
        out, folder = a.folders[0], a.folders[0] / f"{shape}-{seed}"
        sys.argv = ["make_models.py", str(out), "--only", shape, "--no-onnx"]
        make_models.main()
        (out / shape).rename(folder)
        make_models.build_onnx(
            load_file(folder / "model.safetensors"), shape, folder / "model.onnx"
        )
        write_logits(folder)
    make_models.SEEDS[shape] = own
