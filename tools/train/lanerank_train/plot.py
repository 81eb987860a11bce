"""Draws the log of a training run."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


def plot(logs: dict[str, list[dict]], out: Path) -> None:
    figure, (losses, ranks) = plt.subplots(1, 2, figsize=(10, 4))
    for name, log in logs.items():
        steps = [row["step"] for row in log]
        losses.plot(steps, [row["taught"] for row in log], label=f"{name}: teachers")
        losses.plot(steps, [row["chosen"] for row in log], label=f"{name}: labels", linestyle=":")
        measured = [row for row in log if "held_out" in row]
        for key, line in (("held_out", "-"), ("left_out", "--"), ("twins", ":")):
            values = [row[key] for row in measured]
            at = [row["step"] for row in measured]
            ranks.plot(at, values, marker="o", linestyle=line, label=f"{name}: {key}")
    losses.set(xlabel="step", ylabel="loss", title="losses, mean of 100 steps")
    ranks.set(
        xlabel="step",
        ylabel="mean reciprocal rank; share of twins below",
        title="queries that are not trained on",
    )
    losses.legend()
    ranks.legend()
    figure.tight_layout()
    figure.savefig(out, metadata={"Date": None})
