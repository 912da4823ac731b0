"""A model card as the admin pages show it: evaluations, calibration, facts, and two compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from webapp.card import ModelCard
from webapp.domain import EMOTIONS
from webapp.languages import N_, gettext, minute, number, served_heads

LABELS: Final = {"fer2013": N_("FER2013 labels"), "ferplus": N_("FER+ votes")}
SETS: Final = {
    "test": N_("test pictures"),
    "validation": N_("validation pictures"),
    "upload": N_("your evaluation set"),
}
HEAT_STEPS: Final = 10
LARGEST: Final = 1e15
_FIGURES: Final = ("accuracy", "f1_macro", "precision_macro", "recall_macro", "ece", "loss")
FIGURE_WORDS: Final = {
    "accuracy": N_("Accuracy"),
    "f1_macro": N_("F1, mean of classes"),
    "precision_macro": N_("Precision, mean of classes"),
    "recall_macro": N_("Recall, mean of classes"),
    "ece": N_("Calibration error (ECE)"),
    "loss": N_("Cross-entropy"),
}
LOWER_IS_BETTER: Final = frozenset({"ece", "loss"})


@dataclass(frozen=True)
class Bin:
    """One bar of the reliability diagram; ``count`` faces with a confidence in ``(low, high]``."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Evaluation:
    """One head's answers to one set of labels. ``served`` are the answers that the app shows."""

    key: str
    title: str
    served: bool
    figures: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    n: int
    per_class: Mapping[str, Mapping[str, float]]
    confusion: Sequence[Sequence[int]]
    bins: Sequence[Bin]

    @property
    def accuracy(self) -> float:
        return self.figures["accuracy"]

    @property
    def heat(self) -> list[list[tuple[int, float, int]]]:
        """The confusion matrix as ``(count, share of its row, step of colour 0 to 10)``."""
        rows = []
        for row in self.confusion:
            total = max(1, sum(row))
            rows.append([(n, n / total, round(n / total * HEAT_STEPS)) for n in row])
        return rows


def evaluations(card: ModelCard) -> list[Evaluation]:
    """Everything in the card that counts as an evaluation: what the app serves comes first.

    A card is data that others wrote: whatever is missing or is no number is left out.
    """
    found: list[Evaluation] = []
    seen: set[tuple[Any, ...]] = set()
    for path, facts in _walk(card.metrics):
        made = _evaluation(card, path, facts)
        if made is None:
            continue
        identity = (path[0], made.n, made.accuracy, str(made.confusion))
        if identity not in seen:
            seen.add(identity)
            found.append(made)
    return sorted(found, key=lambda e: (not e.served, not e.key.startswith("test"), e.key))


def primary(card: ModelCard) -> Evaluation | None:
    """The evaluation that speaks for a version in a list."""
    return next(iter(evaluations(card)), None)


def _walk(
    facts: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Every mapping with an accuracy; those inside ``serving`` before the ones beside it."""
    for name in sorted(facts, key=lambda name: name != "serving"):
        value = facts[name]
        if isinstance(value, Mapping) and len(path) < 4:
            yield from _walk(value, (*path, str(name)))
    if path and "accuracy" in facts and "n" in facts:
        yield path, facts


def _evaluation(
    card: ModelCard, path: tuple[str, ...], facts: Mapping[str, Any]
) -> Evaluation | None:
    figures = {name: value for name in _FIGURES if (value := _number(facts.get(name))) is not None}
    n = _number(facts.get("n"))
    if "accuracy" not in figures or n is None:
        return None
    label_set = path[-1] if path[-1] in LABELS else str(facts.get("head", card.serving_head))
    head = card.serving_head if "serving" in path else str(facts.get("head", label_set))
    # a mixture is not what its heads answer alone: only its own figures are those of the app
    mixed = card.mixture is not None
    served = (
        head == card.serving_head
        and label_set == head
        and (not mixed or "serving" in path or "mixture" in path)
    )
    labels, pictures = LABELS.get(label_set, label_set), SETS.get(path[0], path[0])
    title = f"{gettext(labels)}, {gettext(pictures)}"
    if head != label_set:
        title += " " + gettext("(answers of the head %(head)s)", head=head)
    intervals = dict(found) if isinstance(found := facts.get("intervals"), Mapping) else {}
    if facts.get("ece_interval") != "bias taken out":
        intervals.pop("ece", None)  # of earlier cards: it lies above its own figure
    return Evaluation(
        key=".".join(path),
        title=title,
        served=served,
        figures=figures,
        intervals=_intervals(intervals),
        n=int(n),
        per_class=_per_class(facts.get("per_class")),
        confusion=_matrix(facts.get("confusion")),
        bins=_bins(facts.get("reliability")),
    )


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= LARGEST else None  # NaN is no figure


def _intervals(given: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    pairs = {}
    for name, value in given.items():
        if isinstance(value, list | tuple) and len(value) == 2:
            low, high = _number(value[0]), _number(value[1])
            if low is not None and high is not None:
                pairs[str(name)] = (low, high)
    return pairs


def _per_class(given: Any) -> dict[str, dict[str, float]]:
    if not isinstance(given, Mapping):
        return {}
    table: dict[str, dict[str, float]] = {}
    for emotion in EMOTIONS:
        row = given.get(emotion)
        if isinstance(row, Mapping):
            values = {k: _number(row.get(k)) for k in ("precision", "recall", "f1", "support")}
            table[emotion] = {k: v for k, v in values.items() if v is not None}
    return table


def _matrix(given: Any) -> list[list[int]]:
    size = len(EMOTIONS)
    if not isinstance(given, list) or len(given) != size:
        return []
    if not all(isinstance(row, list) and len(row) == size for row in given):
        return []
    if not all(isinstance(n, int) and 0 <= n <= LARGEST for row in given for n in row):
        return []
    return given


def _bins(given: Any) -> list[Bin]:
    """From ``{"count", "confidence", "accuracy"}``, lists over equal-width bins."""
    if not isinstance(given, Mapping):
        return []
    columns = [given.get(name) for name in ("count", "confidence", "accuracy")]
    if not all(isinstance(column, list) for column in columns):
        return []
    counts, confidences, accuracies = (list(column or []) for column in columns)
    width = len(counts)
    if not width or {len(confidences), len(accuracies)} != {width}:
        return []
    made = []
    for place in range(width):
        numbers = [_number(c[place]) for c in (counts, confidences, accuracies)]
        if None in numbers:
            return []
        count, confidence, accuracy = (number or 0.0 for number in numbers)
        if count < 0 or not (0 <= confidence <= 1 and 0 <= accuracy <= 1):
            return []
        made.append(Bin(place / width, (place + 1) / width, int(count), confidence, accuracy))
    return made


@dataclass(frozen=True)
class Difference:
    """One figure of two versions; ``verdict`` is "better", "worse" or "unclear" for the second.

    Unclear: their intervals overlap, or one of them is not known.
    """

    words: str
    first: float | None
    second: float | None
    first_interval: tuple[float, float] | None
    second_interval: tuple[float, float] | None
    verdict: str


def compare(first: Evaluation, second: Evaluation) -> list[Difference]:
    """Figures side by side. Overlapping intervals say nothing, so nothing is made of them."""
    rows = []
    for name in _FIGURES:
        a, b = first.figures.get(name), second.figures.get(name)
        if a is None and b is None:
            continue
        ia, ib = first.intervals.get(name), second.intervals.get(name)
        verdict = "unclear"
        if ia and ib and (ia[1] < ib[0] or ib[1] < ia[0]):
            higher = ib[0] > ia[1]
            verdict = "better" if higher != (name in LOWER_IS_BETTER) else "worse"
        rows.append(Difference(FIGURE_WORDS[name], a, b, ia, ib, verdict))
    return rows


def same_pictures(first: ModelCard, second: ModelCard, key: str) -> bool:
    """Whether both cards say that an evaluation was made on the very same pictures."""
    name = key.split(".", maxsplit=1)[0]
    ours, theirs = (_pictures(card, name) for card in (first, second))
    return ours is not None and ours == theirs


def _pictures(card: ModelCard, name: str) -> tuple[Any, ...] | None:
    """What tells one set of pictures from another; validation is a split of the training data."""
    if name == "validation":
        facts = card.data.get("training")
        fields: tuple[str, ...] = ("fingerprint", "split_seed", "validation")
    else:
        measured = card.metrics.get(name)
        facts = card.data.get(name) or (
            measured.get("data") if isinstance(measured, Mapping) else None
        )
        fields = ("fingerprint",)
    if not isinstance(facts, Mapping) or not facts.get("fingerprint"):
        return None
    return tuple(facts.get(field) for field in fields)


@dataclass(frozen=True)
class Curve:
    """One figure over the epochs of training; ``path`` draws it in an SVG of 240 x 48."""

    words: str
    epochs: int
    first: float
    last: float
    path: str


def curves(card: ModelCard) -> list[Curve]:
    """The training curves of cards that have them: ``training.curves``, a list by figure."""
    given = card.training.get("curves")
    made = []
    for name, values in given.items() if isinstance(given, Mapping) else ():
        points = [_number(value) for value in values] if isinstance(values, list) else []
        known = [value for value in points if value is not None]
        if len(known) < 2 or len(known) != len(points):
            continue
        low, high = min(known), max(known)
        step, span = 240 / (len(known) - 1), (high - low) or 1.0
        places = (f"{i * step:.1f} {45 - 42 * (v - low) / span:.1f}" for i, v in enumerate(known))
        words = str(name).replace("_", " ").capitalize()
        made.append(Curve(words, len(known), known[0], known[-1], "M" + "L".join(places)))
    return made


def size_bytes(folder: Path) -> int:
    """All files of a version together; 0 where it is being deleted at this moment."""
    try:
        return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    except OSError:
        return 0


def facts(card: ModelCard) -> list[tuple[str, str]]:
    """What it was trained on and how, in words and in this order."""
    training = card.data.get("training")
    data: Mapping[str, Any] = training if isinstance(training, Mapping) else {}
    rows: list[tuple[str, Any]] = [
        (N_("Made"), minute(card.created)),
        (N_("Recipe"), card.recipe),
        (N_("Input"), f"{card.input.height}x{card.input.width}, {_channels(card)}"),
        (N_("Parameters"), _count(card.training.get("parameters_count"))),
        (N_("Served"), served_heads(card.serving_head, card.mixture_facts())),
        (N_("Uncertain below"), number(card.uncertain_below, 3)),
        (N_("Epochs"), _count(card.training.get("epochs"))),
        (N_("Training pictures"), _count(data.get("training", data.get("pictures")))),
        (N_("Validated"), _cross_fitted(data)),
        (N_("Fingerprint of the training data"), data.get("fingerprint")),
        (N_("Copies of test pictures dropped"), _count(data.get("copies_of_test_dropped"))),
        (N_("FER+ votes used"), _yes(card.data.get("ferplus_votes"))),
    ]
    return [(words, str(value)) for words, value in rows if value not in (None, "", {})]


def _channels(card: ModelCard) -> str:
    return gettext("grey") if card.input.channels == 1 else gettext("grey in three channels")


def _count(value: Any) -> str | None:
    return number(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _cross_fitted(data: Mapping[str, Any]) -> str | None:
    folds = _count(data.get("folds"))
    return folds and gettext(
        "out of fold: cross-fitted in %(folds)s parts, trained on every picture", folds=folds
    )


def _yes(value: Any) -> str | None:
    return None if value is None else (gettext("yes") if value else gettext("no"))
