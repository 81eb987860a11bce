"""Shared by the scripts of this folder: test collections, Hugging Face's tokenisation, the binary
under test, Kendall's tau."""

import gzip, json, subprocess
from pathlib import Path
import numpy as np


def open_text(path):
    """A text file, gzipped or not; `path` may lack the .gz."""
    path = Path(path)
    if not path.exists():
        path = Path(f"{path}.gz")
    return (
        gzip.open(path, "rt", encoding="utf-8")
        if path.suffix == ".gz"
        else open(path, encoding="utf-8")
    )


def read_run(path):
    """{query id: {document id: score}} of a TREC run, in the file's order."""
    run = {}
    for line in open_text(path):
        q, _, d, _, score, _ = line.split()
        run.setdefault(q, {})[d] = float(score)
    return run


def read_dataset(folder):
    """(documents: id -> title and text, queries, qrels, BM25 run) of a test collection."""
    folder = Path(folder)
    docs = {}
    for line in open_text(folder / "corpus.jsonl"):
        row = json.loads(line)
        docs[row["_id"]] = f"{row['title']} {row['text']}".strip()
    queries = {r["_id"]: r["text"] for r in map(json.loads, open_text(folder / "queries.jsonl"))}
    qrels = {}
    for line in list(open_text(folder / "qrels.tsv"))[1:]:
        q, d, rel = line.split("\t")
        qrels.setdefault(q, {})[d] = int(rel)
    return docs, queries, qrels, read_run(folder / "run.bm25.trec")


METRICS = {
    "ndcg@10": "ndcg_cut_10",
    "mrr@10": "recip_rank",
    "map": "map",
    "recall@100": "recall_100",
}


def trec_eval(qrels, run):
    """Means over the queries of the qrels. MRR@10 is recip_rank of trec_eval's top ten."""
    import pytrec_eval

    first = {
        q: dict(sorted(r.items(), key=lambda x: (np.float32(x[1]), x[0]), reverse=True)[:10])
        for q, r in run.items()
    }
    rows = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "map", "recall.100"}).evaluate(run)
    cut = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(first)
    return {
        name: sum((cut if name == "mrr@10" else rows)[q][key] for q in rows) / len(qrels)
        for name, key in METRICS.items()
    }


def hf_tokenizer(folder, max_length=512):
    """The folder's tokenizer.json with longest-first truncation and no padding."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    return tokenizer


def ort_logits(folder, workload, threads=1):
    """ONNX Runtime's f32 logits: {request: [logit of each passage]}; single passages, unpadded.

    Two labels give one figure, z1 - z0; its sigmoid is the softmax's second entry."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    session = ort.InferenceSession(
        str(Path(folder) / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )
    tokenizer = hf_tokenizer(folder)
    logits = {}
    for name, request in workload.items():
        logits[name] = []
        for e in tokenizer.encode_batch([(request["query"], p) for p in request["passages"]]):
            row = lambda x: np.array([x], np.int64)
            z = session.run(
                ["logits"],
                {
                    "input_ids": row(e.ids),
                    "attention_mask": row(e.attention_mask),
                    "token_type_ids": row(e.type_ids),
                },
            )[0][0]
            logits[name].append(float(z[0] if len(z) == 1 else z[1] - z[0]))
    return logits


def kendall_tau(a, b):
    """Kendall's tau-a."""
    a, b = np.sign(np.subtract.outer(a, a)), np.sign(np.subtract.outer(b, b))
    return float((a * b)[np.triu_indices(len(a), 1)].mean())


def run(binary, *args, stdin=None):
    """The binary's standard output; exits with its message on failure."""
    done = subprocess.run(
        [str(binary), *map(str, args)], input=stdin, capture_output=True, encoding="utf-8"
    )
    if done.returncode:
        raise SystemExit(
            f"{binary} {' '.join(map(str, args))}: exit {done.returncode}\n{done.stderr}"
        )
    return done.stdout


def convert(binary, folder, out, dtype, *options):
    """Converts a Hugging Face folder to a model file."""
    run(binary, "convert", folder, "-o", out, "--dtype", dtype, *options)
    return out


def compare_eval(binary, dataset, model, written, name, qrels, first_stage):
    """Runs `eval` and compares its measures with trec_eval's: (report, whether any differs)."""
    report = json.loads(
        run(
            binary, "eval", "--dataset", dataset, "--model", model, "--json", "--write-run", written
        )
    )
    reranked = read_run(written)
    assert {q: set(r) for q, r in reranked.items()} == {
        q: set(r) for q, r in first_stage.items()
    }, "other candidates"
    failed = False
    for when, ranking in (("before", first_stage), ("after", reranked)):
        for metric, value in trec_eval(qrels, ranking).items():
            bad = not abs(report[when][metric] - value) <= 1e-6
            failed |= bad
            print(
                f"{name:<14} {when:<6} {metric:<10} {report[when][metric]:.6f} "
                f"trec_eval {value:.6f}" + ("  DIFFERS" if bad else ""),
                flush=True,
            )
    return report, failed
