"""Cross-fitted runs: each holds back one part of the validation pictures and learns the others.

Their soup has learnt from every picture, so no picture is left to calibrate it on. Its
temperature, threshold and validation figures come from its parts instead: each picture is read by
the soup of those networks alone that never saw it (cross-fitting, Chernozhukov et al. 2018; its
use for calibration is cross-validation's, Stone 1974). Such a soup has fewer networks and less
data than what is published, so that the figures are, if anything, a little too low.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from training.data.dataset import Fold
from training.litert import FloatArray
from training.publishing.finished import FinishedRun
from training.publishing.members import Member
from webapp.errors import ModelInvalid

SOURCE = (
    "out of fold: each picture was read by the soup, published in the same form, of the networks "
    "that never trained on it"
)

Read = Callable[[Member, Sequence[Member]], Mapping[str, FloatArray]]
"""Logits by head that the soup of a run with others gives for the run's validation pictures."""


@dataclass(frozen=True)
class Part:
    """A fold with the run that holds it back (the first) and all others that do."""

    fold: Fold
    run: Member
    others: tuple[Member, ...]


def parts_of(run: Member, soup: Sequence[Member]) -> tuple[Part, ...]:
    """The parts of a cross-fitted soup; none where every network holds back what ``run`` does.

    Raises :class:`ModelInvalid` where a part of the validation pictures was held back by no run:
    nothing could then be said of it.
    """
    mixed = (run, *soup)
    folds = {member.fold for member in mixed if member.fold is not None}
    if run.fold is None or folds == {run.fold}:
        return ()
    found = []
    for number in range(1, run.fold.of + 1):
        fold = Fold(number, run.fold.of)
        runs = [member for member in mixed if member.fold == fold and member.run is not None]
        if not runs:
            raise ModelInvalid(
                f"Of the folds {', '.join(sorted(map(str, folds)))} fold {fold} is missing: "
                "all networks have learnt its pictures. Add a run that holds it back."
            )
        others = [m for m in mixed if m.fold in (None, fold) and m is not runs[0]]
        found.append(Part(fold, runs[0], tuple(others)))
    return tuple(found)


def read_out_of_fold(parts: Sequence[Part], read: Read) -> FinishedRun:
    """All validation pictures, with the logits of the networks that never saw them."""
    runs, answers = [], []
    for part in parts:
        if part.run.run is None:
            raise TypeError("Expected a run at the head of each part.")
        runs.append(part.run.run)
        answers.append(read(part.run, part.others))
    return replace(
        runs[0],
        names=tuple(name for run in runs for name in run.names),
        labels=np.concatenate([run.labels for run in runs]),
        votes=np.concatenate([run.votes for run in runs]),
        logits={head: np.concatenate([a[head] for a in answers]) for head in answers[0]},
        facts=_whole_facts(runs),
    )


def accuracy_on_seen(held: FinishedRun, whole: Mapping[str, FloatArray]) -> dict[str, float]:
    """Accuracy by head of the whole soup on the validation pictures, most of which it has seen.

    ``held`` has their logits out of fold, ``whole`` those of the soup, in the same order. Raises
    :class:`ModelInvalid` where the soup is worse than its parts by more than chance (two standard
    errors): its networks went too far apart for their mean to be a network that knows anything,
    and no figure out of fold would tell.
    """
    found = {}
    for head, logits in whole.items():
        truth = held.truth(head)
        known = truth >= 0
        if not known.any():
            continue
        parts, soup = (
            float((values.argmax(axis=1) == truth)[known].mean())
            for values in (held.logits[head], logits)
        )
        chance = 2 * (parts * (1 - parts) / known.sum()) ** 0.5
        if soup < parts - chance:
            raise ModelInvalid(
                f"The networks do not mix: head {head!r} is right on {parts:.1%} of the "
                f"validation pictures out of fold, and their soup on {soup:.1%}, though it has "
                "learnt them. Train them for fewer epochs or at a lower rate."
            )
        found[head] = round(soup, 4)
    return found


def _whole_facts(runs: Sequence[FinishedRun]) -> dict[str, Any]:
    """The facts of the first run, its data those of all runs together."""
    data = dict(runs[0].facts["data"])
    del data["fold"]
    data["folds"] = len(runs)
    data["training"] = int(data["pictures"]) - int(data["copies_of_test_dropped"])
    data["validation"] = sum(len(run.labels) for run in runs)
    return {**runs[0].facts, "data": data}
