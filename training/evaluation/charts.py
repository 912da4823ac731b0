"""The pictures of an evaluation report, drawn with matplotlib; each function writes one PNG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.evaluation.metrics import Floats, Ints, reliability
from webapp.domain import EMOTIONS

BLUE, ORANGE, GREY = "#2a6fbb", "#d9822b", "#8a8f98"


@contextmanager
def _figure(path: Path, width: float, height: float, columns: int = 1) -> Iterator[Any]:
    # the object interface: pyplot would keep every figure and may look for a display
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, columns, squeeze=False)[0]
    yield axes[0] if columns == 1 else axes
    figure.savefig(path, dpi=120)


def learning_curves(path: Path, history: Sequence[dict[str, Any]]) -> None:
    """Training loss, and validation accuracy of each head, by epoch."""
    epochs = [row["epoch"] for row in history]
    with _figure(path, 10, 3.6, columns=2) as (left, right):
        left.plot(epochs, [row["loss"] for row in history], marker=".", color=BLUE)
        left.set(xlabel="epoch", ylabel="training loss")
        for name, colour in (("fer2013", BLUE), ("ferplus", ORANGE)):
            values = [row.get(f"val_{name}") for row in history]
            if all(value is not None for value in values):
                right.plot(epochs, values, marker=".", color=colour, label=name)
        right.set(xlabel="epoch", ylabel="validation accuracy")
        right.legend()
        for axes in (left, right):
            axes.grid(alpha=0.3)


def confusion(path: Path, matrix: Sequence[Sequence[int]], title: str) -> None:
    """One confusion matrix: counts, shaded by the share of each true class."""
    counts = np.asarray(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with _figure(path, 5.6, 5) as axes:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row in range(len(EMOTIONS)):
            for column in range(len(EMOTIONS)):
                colour = "white" if shares[row, column] > 0.5 else "black"
                text = f"{counts[row, column]}\n{shares[row, column]:.0%}"
                axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
        axes.set_xticks(range(len(EMOTIONS)), EMOTIONS, rotation=45, ha="right")
        axes.set_yticks(range(len(EMOTIONS)), EMOTIONS)
        axes.set(xlabel="answer", ylabel="label", title=title)


def reliability_diagram(path: Path, sets: dict[str, tuple[Floats, Ints]]) -> None:
    """Accuracy by confidence of each (probabilities, labels), with the number in each bin."""
    with _figure(path, 10, 4, columns=2) as (left, right):
        left.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
        for (name, (probabilities, labels)), colour in zip(
            sets.items(), (BLUE, ORANGE), strict=False
        ):
            found = reliability(probabilities, labels)
            filled = [i for i, count in enumerate(found["count"]) if count]
            left.plot(
                [found["confidence"][i] for i in filled],
                [found["accuracy"][i] for i in filled],
                marker="o", color=colour, label=f"{name}: ECE {found['ece']:.3f}",
            )  # fmt: skip
            middles = (np.arange(len(found["count"])) + 0.5) / len(found["count"])
            right.step(middles, found["count"], where="mid", color=colour, label=name)
        left.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
        right.set(xlabel="confidence", ylabel="faces", xlim=(0, 1))
        for axes in (left, right):
            axes.legend()
            axes.grid(alpha=0.3)


def robustness(path: Path, found: dict[str, Any]) -> None:
    """Accuracy by face size, blur and brightness, both label sets."""
    with _figure(path, 12, 3.6, columns=3) as columns:
        for axes, kind in zip(columns, ("size", "blur", "brightness"), strict=True):
            rows = found[kind]
            for name, colour in (("fer2013", BLUE), ("ferplus", ORANGE)):
                if rows[name]:
                    axes.plot(rows["values"], rows[name], marker="o", color=colour, label=name)
            axes.set(xlabel=rows["unit"], ylabel="accuracy", ylim=(0, 1))
            axes.grid(alpha=0.3)
            axes.legend()


def mistakes(
    path: Path,
    images: npt.NDArray[np.uint8],
    probabilities: Floats,
    labels: Ints,
    count: int = 48,
) -> int:
    """Contact sheet of the surest wrong answers, surest first; how many it shows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    surest = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:count]
    if not len(surest):
        return 0
    columns = 8
    rows = int(np.ceil(len(surest) / columns))
    figure = Figure(figsize=(1.5 * columns, 1.9 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for place, index in enumerate(surest, start=1):
        axes = figure.add_subplot(rows, columns, place)
        axes.imshow(images[index], cmap="gray", vmin=0, vmax=255)
        axes.axis("off")
        answered, sure = EMOTIONS[predicted[index]], probabilities[index].max()
        axes.set_title(f"{answered} {sure:.0%}\nlabel {EMOTIONS[labels[index]]}", fontsize=7)
    figure.savefig(path, dpi=110)
    return len(surest)
