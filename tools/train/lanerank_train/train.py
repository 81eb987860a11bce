"""Training on lists of candidates, ordered by the teachers and the labels.

Every process takes its share of a step's queries on one thread, and the gradients are averaged:
PyTorch's threads wait for each other after every small operation.
"""

import json
import math
import tempfile
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F

from .batches import Pool, choose, chunks, target
from .initial import initialise
from .model import CrossEncoder

QUERIES_A_STEP, GROUP = 32, 8
TOKENS_A_CHUNK = 8192
LONGEST_QUERY = 32
# Tokens of the longest passage of a step: mostly short, for more pairs in the same time.
LENGTHS, SHARES = (64, 128, 256), (0.6, 0.3, 0.1)
WARM_UP = 200
# The first steps have no look-alikes and a large, falling weight of BM25: matching words is learned
# first. Without that, the loss stayed where it was for 500 steps.
EASY_STEPS, EASY_LEXICAL = 600, 8.0
# Where the processor multiplies bf16 itself.
BF16 = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
MEASURED_EVERY, SAVED_EVERY = 1000, 500


@dataclass
class Settings:
    steps: int
    seed: int = 0
    rate: float = 1.5e-3
    words: str = "halves"  # initial word embeddings, or "input"
    words_rate: float = 0.3  # of `rate`
    lexical: float = 2.0  # weight of BM25 in the teachers' score
    labels: float = 0.3  # weight of the labels' loss
    pointwise: float = 0.05  # weight of the loss that gives the logit a scale
    average: float = 0.998  # decay of the moving average of the weights, which is measured and kept
    definitions: float = 0.5  # relative frequency of definitions
    cooling: float = 0.25  # share of the steps in which the rate falls to nothing


def rate(settings: Settings, step: int) -> float:
    """Constant after the warm-up, so that a run can be prolonged until it cools; then falling as
    1 - sqrt (https://arxiv.org/abs/2405.18392)."""
    warm = min(1.0, (step + 1) / WARM_UP)
    cooled = max(0.0, 1 - (settings.steps - step) / (settings.cooling * settings.steps))
    return settings.rate * warm * (1 - math.sqrt(cooled))


def train_together(
    settings: Settings, encoder: Path, pool: Path, out: Path, processes: int
) -> list[dict]:
    """Trains, or resumes, with so many processes of one thread each; returns the log."""
    with tempfile.TemporaryDirectory() as meeting:
        arguments = (processes, f"file://{meeting}/processes", settings, encoder, pool, out)
        torch.multiprocessing.spawn(train_part, arguments, nprocs=processes)
    return torch.load(out / "checkpoint.pt", weights_only=False)["log"]


def train_part(part: int, processes: int, meeting: str, settings, encoder, pool, out) -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    dist.init_process_group("gloo", meeting, rank=part, world_size=processes)
    training = Training(Pool(pool), settings, encoder, pool, out)
    training.resume()
    training.run()
    dist.destroy_process_group()


class Training:
    """Needs a process group: `torch.distributed.init_process_group`."""

    def __init__(self, pool: Pool, settings: Settings, encoder: Path, cache: Path, out: Path):
        self.pool, self.settings, self.out = pool, settings, out
        self.part, self.parts = dist.get_rank(), dist.get_world_size()
        self.model, self.kept = CrossEncoder(), CrossEncoder()
        initialise(self.model, encoder, cache, settings.seed, settings.words)
        self.kept.load_state_dict(self.model.state_dict())
        words = [self.model.word.weight]
        matrices = [
            p for n, p in self.model.named_parameters() if p.ndim > 1 and n != "word.weight"
        ]
        vectors = [p for p in self.model.parameters() if p.ndim == 1]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": words, "share": settings.words_rate, "weight_decay": 0.0},
                {"params": matrices, "share": 1.0, "weight_decay": 0.01},
                {"params": vectors, "share": 1.0, "weight_decay": 0.0},
            ],
            lr=settings.rate,
            betas=(0.9, 0.98),
            fused=True,
        )
        self.step = 0
        self.log = []
        out.mkdir(parents=True, exist_ok=True)

    def order(self) -> np.ndarray:
        """The order of the queries; the same on every call."""
        rng = np.random.default_rng(self.settings.seed)
        queries = np.flatnonzero(~self.pool.held_out)
        definition = self.pool.origin[queries] == self.pool.definitions
        turns = rng.random(len(queries)) < np.where(definition, self.settings.definitions, 1.0)
        queries = queries[turns]
        needed = self.settings.steps * QUERIES_A_STEP
        rounds = [rng.permutation(queries) for _ in range(needed // len(queries) + 1)]
        return np.concatenate(rounds)[:needed]

    def run(self) -> None:
        order = self.order()
        started, begun = time.monotonic(), self.step
        sums = np.zeros(3)
        while self.step < self.settings.steps:
            now = rate(self.settings, self.step)
            for group in self.optimizer.param_groups:
                group["lr"] = now * group["share"]
            start = self.step * QUERIES_A_STEP
            queries = order[start : start + QUERIES_A_STEP]
            sums += self.take_step(queries[self.part :: self.parts])
            self.step += 1
            if self.part > 0:
                continue
            if self.step % 100 == 0:
                seconds = (time.monotonic() - started) / (self.step - begun)
                self.note(sums / 100, seconds)
                sums[:] = 0
            if self.step % SAVED_EVERY == 0 or self.step == self.settings.steps:
                self.save()

    def take_step(self, queries: np.ndarray) -> np.ndarray:
        common = np.random.default_rng([self.settings.seed, self.step])
        longest = int(common.choice(LENGTHS, p=SHARES))
        rng = np.random.default_rng([self.settings.seed, self.step, self.part])
        pool = self.pool
        beginning = max(0.0, 1 - self.step / EASY_STEPS)
        groups = [choose(pool, q, GROUP, rng, alike=beginning == 0) for q in queries]
        pairs = [
            (pool.query(q, LONGEST_QUERY), pool.passage(p, longest))
            for q, group in zip(queries, groups, strict=True)
            for p in group
        ]
        lexical = max(self.settings.lexical, EASY_LEXICAL * beginning)
        goal = np.stack([target(pool, q, g, lexical) for q, g in zip(queries, groups, strict=True)])
        shifts = np.where(rng.random(len(pairs)) < 0.3, rng.integers(0, 400, len(pairs)), 0)
        logits = torch.zeros(len(pairs))
        for rows, arguments in chunks(pairs, TOKENS_A_CHUNK, shifts):
            with torch.autocast("cpu", torch.bfloat16, enabled=BF16):
                part = self.model(*arguments)
            logits = logits.index_copy(0, torch.from_numpy(rows), part.float())
        logits = logits.view(len(queries), GROUP)
        loss, parts = self.loss(
            logits, torch.from_numpy(goal), torch.from_numpy(pool.label[queries] >= 0)
        )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.share_gradients()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.average()
        return parts

    def share_gradients(self) -> None:
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        flat = torch.cat([g.view(-1) for g in gradients])
        dist.all_reduce(flat)
        flat /= self.parts
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients])):
            gradient.copy_(part.view_as(gradient))

    def loss(self, logits, goal, labelled):
        """Returns the loss, and for the log (teachers' loss, labels' loss, share of labels ranked
        first). The label is the first of its group."""
        taught = F.kl_div(logits.log_softmax(-1), goal.softmax(-1), reduction="batchmean")
        first = torch.zeros(int(labelled.sum()), dtype=torch.long)
        chosen = F.cross_entropy(logits[labelled], first)
        truth = torch.zeros_like(logits[labelled])
        truth[:, 0] = 1.0
        certain = F.binary_cross_entropy_with_logits(logits[labelled], truth)
        share = self.settings
        total = taught + share.labels * chosen + share.pointwise * certain
        right = (logits[labelled].argmax(-1) == 0).float().mean()
        return total, np.array([taught.item(), chosen.item(), right.item()])

    @torch.no_grad()
    def average(self) -> None:
        keep = min(self.settings.average, (self.step + 1) / (self.step + 10))
        kept, new = list(self.kept.parameters()), list(self.model.parameters())
        torch._foreach_lerp_(kept, new, 1 - keep)

    def note(self, sums: np.ndarray, seconds: float) -> None:
        row = {
            "step": self.step,
            "taught": sums[0],
            "chosen": sums[1],
            "right": sums[2],
            "seconds_a_step": seconds,
        }
        if self.step % MEASURED_EVERY == 0 or self.step == self.settings.steps:
            row |= measure(self.kept, self.pool)
        self.log.append(row)
        print(
            json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}),
            flush=True,
        )

    def save(self) -> None:
        """Replaces the last checkpoint atomically."""
        scratch = self.out / "checkpoint.tmp"
        torch.save(
            {
                "model": self.model.state_dict(),
                "kept": self.kept.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "log": self.log,
            },
            scratch,
        )
        scratch.rename(self.out / "checkpoint.pt")

    def resume(self) -> None:
        file = self.out / "checkpoint.pt"
        if file.exists():
            saved = torch.load(file, weights_only=False)
            self.model.load_state_dict(saved["model"])
            self.kept.load_state_dict(saved["kept"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.step, self.log = saved["step"], saved["log"]
            print(f"resumed at step {self.step}", flush=True)


def held_out_lists(pool: Pool, count: int, depth: int = 20):
    """(query, BM25's candidates) of held-out queries whose label is among them."""
    lists = ((q, pool.candidates[q][:depth]) for q in labelled(pool, left_out=False))
    return list(islice(((q, c) for q, c in lists if pool.label[q] in c), count))


def left_out_lists(pool: Pool, count: int):
    """(query, candidates) of the sources that are left out whole: BM25's, the teacher's, and the
    label, which need not repeat the query's words."""
    for q in islice(labelled(pool, left_out=True), count):
        yield q, np.unique([pool.label[q], *pool.candidates[q][:15], *pool.near[q]])


def labelled(pool: Pool, left_out: bool) -> np.ndarray:
    """Given queries that are not trained on, in a random order that is the same on every call."""
    given = np.arange(len(pool.label)) == pool.means
    chosen = pool.held_out & given & (pool.label >= 0)
    chosen &= np.isin(pool.origin, pool.left_out) == left_out
    return np.random.default_rng(1).permutation(np.flatnonzero(chosen))


@torch.inference_mode()
def score_lists(model: CrossEncoder, pool: Pool, lists, longest: int = 160) -> list[np.ndarray]:
    pairs = [(pool.query(q, LONGEST_QUERY), pool.passage(p, longest)) for q, c in lists for p in c]
    logits = np.zeros(len(pairs), np.float32)
    for rows, arguments in chunks(pairs, TOKENS_A_CHUNK, None):
        logits[rows] = model(*arguments).numpy()
    return np.split(logits, np.cumsum([len(c) for _, c in lists])[:-1])


def measure(model: CrossEncoder, pool: Pool) -> dict[str, float]:
    """Mean reciprocal rank of the label in both kinds of lists; the share of held-out queries
    whose right passage is above its twin."""
    twins = np.flatnonzero(pool.held_out & (pool.wrong >= 0))
    twins = np.random.default_rng(1).permutation(twins)[:1000]
    pairs = [(q, np.array([pool.right[q], pool.wrong[q]])) for q in twins]
    return {
        "held_out": reciprocal_rank(model, pool, held_out_lists(pool, 400)),
        "left_out": reciprocal_rank(model, pool, list(left_out_lists(pool, 500))),
        "twins": float(np.mean([a > b for a, b in score_lists(model, pool, pairs)])),
    }


def reciprocal_rank(model: CrossEncoder, pool: Pool, lists) -> float:
    ranks = []
    for (query, candidates), logits in zip(lists, score_lists(model, pool, lists), strict=True):
        label = logits[candidates == pool.label[query]][0]
        ranks.append(1 / (1 + np.sum(logits > label)))
    return float(np.mean(ranks))
