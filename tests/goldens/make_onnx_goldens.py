#!/usr/bin/env python3
"""Writes tests/data/onnx/: tiny models by several exporters, optimisers and quantisers.

    pip install -r tests/peers/requirements.txt && python tests/goldens/make_onnx_goldens.py
    [OPTIMUM=/path/to/python of an environment with optimum-onnx 0.1, transformers 4.57]

    one-label/   classifier with GELU: config.json, vocab.txt, tokenizer_config.json, and
                 torch_eager, torch_sdpa    torch.onnx.export up to 2.8 (TorchScript)
                 dynamo_eager, dynamo_sdpa  torch.onnx.export(dynamo=True)
                 optimum                    optimum's main_export (only where OPTIMUM is set)
                 f16                        onnxconverter_common's float16 of torch_eager
                 fused, fused_f16           onnxruntime's transformer optimiser:
                                            EmbedLayerNormalization, Attention,
                                            SkipLayerNormalization, BiasGelu
                 fused_mha                  the same with MultiHeadAttention
                 fused_tanh                 the same with FastGelu in place of GELU
                 int8_tensor, int8_channel, uint8_tensor, uint8_channel
                                            onnxruntime's quantize_dynamic of torch_eager
                 fused_int8                 the same of fused: QEmbedLayerNormalization, QAttention
                 extended_int8              int8_channel after a session's extended optimisations:
                                            DynamicQuantizeMatMul or MatMulIntegerToFloat
                 qdq                        onnxruntime's quantize_static, QDQ
    two-labels/  classifier with two labels and tanh GELU: torch_eager, dynamo_sdpa, fused
    encoder/     BertModel: torch_eager, dynamo_sdpa, fused

expected.json has ONNX Runtime's results: {"texts": [[query, passage], ...], "files": {name:
[[logit, ...], ...]}}, for the encoder the mean of the token vectors of `passage`. One run per text,
without padding. Names, documentation and value infos are stripped, so that no reader can depend on
them.
"""

import json, os, shutil, subprocess, sys, tempfile, warnings
from pathlib import Path
import numpy as np
import onnx, onnxruntime, torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.onnx_model import OnnxModel
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertForSequenceClassification, BertModel
from make_model_goldens import PAIRS, VOCAB, figures, make_weights, prefixed, write_json

OUT = Path(__file__).parents[1] / "data/onnx"
HIDDEN, HEADS, LAYERS, INNER, POSITIONS = 16, 2, 2, 24, 64
NAMES = ["input_ids", "attention_mask", "token_type_ids"]
TEXTS = [PAIRS[i] for i in (0, 1, 2, 4, 6, 8)]
QUANTIZED = ("int8", "uint8", "qdq")


def torch_model(folder, w, labels, attention):
    config = BertConfig.from_pretrained(folder, attn_implementation=attention)
    model = BertForSequenceClassification(config) if labels else BertModel(config)
    model.load_state_dict(prefixed(w) if labels else w, strict=True)
    return model.eval()


class TokenVectors(torch.nn.Module):
    """An encoder with the three inputs in order and a single output."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.model(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state


def sample():
    ids = torch.randint(5, len(VOCAB), (2, 9), generator=torch.Generator().manual_seed(1))
    mask, types = torch.ones_like(ids), torch.zeros_like(ids)
    mask[1, 6:], types[:, 4:] = 0, 1
    return ids, mask, types


def export(model, path, dynamo):
    outputs = ["logits"]
    if isinstance(model, BertModel):
        model, outputs = TokenVectors(model), ["last_hidden_state"]
    if dynamo:
        batch, length = torch.export.Dim("batch"), torch.export.Dim("length", max=POSITIONS)
        torch.onnx.export(
            model,
            sample(),
            path,
            input_names=NAMES,
            output_names=outputs,
            dynamo=True,
            external_data=False,
            dynamic_shapes={name: {0: batch, 1: length} for name in NAMES},
            verbose=False,
        )
    else:
        axes = {name: {0: "batch", 1: "length"} for name in NAMES}
        torch.onnx.export(
            model,
            sample(),
            path,
            input_names=NAMES,
            output_names=outputs,
            dynamo=False,
            opset_version=14,
            dynamic_axes=axes | {outputs[0]: {0: "batch"}},
        )


def fuse(source, target, mha=False, tanh=False, half=False):
    options = FusionOptions("bert")
    options.use_multi_head_attention, options.enable_gelu_approximation = mha, tanh
    model = optimizer.optimize_model(
        str(source), "bert", HEADS, HIDDEN, opt_level=0, optimization_options=options
    )
    if half:
        model.convert_float_to_float16(keep_io_types=True)
    model.save_model_to_file(str(target))


def dynamic(source, target, kind, channel):
    quantize_dynamic(
        str(source),
        str(target),
        weight_type=kind,
        per_channel=channel,
        extra_options={"DefaultTensorType": 1},
    )


def static(source, target, feeds):
    class Reader(CalibrationDataReader):
        rows = iter(feeds)

        def get_next(self):
            return next(self.rows, None)

    quantize_static(
        str(source),
        str(target),
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        op_types_to_quantize=["MatMul", "Gemm", "Gather"],
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def session_optimised(source, target):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(str(source), options)


def strip(path):
    """Removes documentation and node names; weights and values get numbers for names."""
    model = onnx.load(path)
    graph = model.graph
    del graph.value_info[:]
    del model.metadata_props[:]
    renamed = {tensor.name: f"w{i}" for i, tensor in enumerate(graph.initializer)}
    for tensor in graph.initializer:
        tensor.name, tensor.doc_string = renamed[tensor.name], ""
    kept = {port.name for port in (*graph.input, *graph.output)}
    for node in graph.node:
        node.doc_string, node.name = "", ""
        del node.metadata_props[:]
        renamed |= {
            name: f"v{len(renamed) + i}"
            for i, name in enumerate(node.output)
            if name and name not in kept
        }
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    model.producer_version = graph.doc_string = ""
    onnx.save(model, path)


def feeds(tokenizer, labels):
    for query, passage in TEXTS:
        e = tokenizer.encode(query, passage) if labels else tokenizer.encode(passage)
        yield {
            "input_ids": np.array([e.ids]),
            "attention_mask": np.array([e.attention_mask]),
            "token_type_ids": np.array([e.type_ids]),
        }


def expected(path, rows, labels):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options)
    taken = {port.name for port in session.get_inputs()}
    results = []
    for row in rows:
        out = session.run(None, {name: value for name, value in row.items() if name in taken})[0][0]
        results.append(figures(out if labels else out.mean(0)))
    return results


def write_folder(name, seed, labels, activation):
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    config = dict(
        architectures=["BertForSequenceClassification" if labels else "BertModel"],
        model_type="bert",
        hidden_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=INNER,
        hidden_act=activation,
        max_position_embeddings=POSITIONS,
        type_vocab_size=2,
        vocab_size=len(VOCAB),
        layer_norm_eps=1e-12,
        pad_token_id=0,
    )
    if labels:
        config |= dict(
            id2label={str(i): f"LABEL_{i}" for i in range(labels)},
            label2id={f"LABEL_{i}": i for i in range(labels)},
        )
    else:
        write_json(
            folder / "1_Pooling/config.json",
            dict(word_embedding_dimension=HIDDEN, pooling_mode_mean_tokens=True),
        )
    write_json(folder / "config.json", config)
    write_json(
        folder / "tokenizer_config.json",
        dict(do_lower_case=True, tokenizer_class="BertTokenizer", model_max_length=POSITIONS),
    )
    (folder / "vocab.txt").write_text("\n".join(VOCAB) + "\n")
    tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
    tokenizer.enable_truncation(POSITIONS, strategy="longest_first")
    rows = list(feeds(tokenizer, labels))

    w = make_weights(seed, HIDDEN, LAYERS, INNER, labels, True)
    eager, sdpa = (torch_model(folder, w, labels, kind) for kind in ("eager", "sdpa"))
    at = lambda file: folder / f"{file}.onnx"
    export(eager, at("torch_eager"), False)
    export(sdpa, at("dynamo_sdpa"), True)
    fuse(at("torch_eager"), at("fused"))
    if name == "one-label":
        export(sdpa, at("torch_sdpa"), False)
        export(eager, at("dynamo_eager"), True)
        fuse(at("torch_eager"), at("fused_mha"), mha=True)
        fuse(at("torch_eager"), at("fused_tanh"), tanh=True)
        fuse(at("torch_eager"), at("fused_f16"), half=True)
        half = OnnxModel(onnx.load(at("torch_eager")))
        half.convert_float_to_float16(keep_io_types=True)
        half.save_model_to_file(str(at("f16")))
        for kind, weight in (("int8", QuantType.QInt8), ("uint8", QuantType.QUInt8)):
            dynamic(at("torch_eager"), at(f"{kind}_tensor"), weight, False)
            dynamic(at("torch_eager"), at(f"{kind}_channel"), weight, True)
        dynamic(at("fused"), at("fused_int8"), QuantType.QInt8, True)
        session_optimised(at("int8_channel"), at("extended_int8"))
        static(at("torch_eager"), at("qdq"), rows)
        if "OPTIMUM" in os.environ:
            optimum(eager, folder, at("optimum"))
    files = sorted(folder.glob("*.onnx"))
    results = {}
    for path in files:
        strip(path)
        results[path.stem] = expected(path, rows, labels)
    exact = np.array(results["torch_eager"])
    for path in files:
        off = np.abs(np.array(results[path.stem]) - exact).max()
        ops = {node.op_type for node in onnx.load(path).graph.node}
        print(
            f"{name}/{path.name}: {path.stat().st_size} bytes, {off:.1e} from torch_eager, "
            f"{len(ops)} operators"
        )
        assert off < (
            1e-5 if not any(kind in path.stem for kind in (*QUANTIZED, "f16", "tanh")) else 1.0
        ), path
    lines = ",\n".join(
        f"  {json.dumps(file)}: {json.dumps(rows)}" for file, rows in results.items()
    )
    (folder / "expected.json").write_text(
        f'{{"texts": {json.dumps(TEXTS)},\n "files": {{\n{lines}\n}}}}\n'
    )


def optimum(model, folder, target):
    with tempfile.TemporaryDirectory() as tmp:
        source, out = Path(tmp) / "model", Path(tmp) / "onnx"
        model.save_pretrained(source)
        for file in ("config.json", "vocab.txt", "tokenizer_config.json"):
            shutil.copy(folder / file, source)
        code = (
            "import sys; from optimum.exporters.onnx import main_export; "
            "main_export(sys.argv[1], sys.argv[2], task='text-classification')"
        )
        subprocess.run([os.environ["OPTIMUM"], "-c", code, source, out], check=True)
        shutil.copy(out / "model.onnx", target)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with torch.no_grad():
        write_folder("one-label", 1, 1, "gelu")
        write_folder("two-labels", 2, 2, "gelu_new")
        write_folder("encoder", 3, 0, "gelu")
    print(
        sum(f.stat().st_size for f in OUT.rglob("*") if f.is_file()),
        "bytes in all",
        file=sys.stderr,
    )
