"""Batches of changed pictures and soft targets, made in a thread while the network trains."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.data.augment import augment_batch, mixup_batch
from training.data.dataset import LabelledFaces, one_hot, soft_ferplus
from training.engines.distil import Taught, blend
from training.recipes.recipes import MienRecipe
from webapp.domain import EMOTIONS


@dataclass(frozen=True, slots=True)
class Batch:
    """``pictures``: float32 [n, side, side] in ``[0, 255]``; targets float32 [n, 7];
    weights float32 [n]: ``ferplus_weight`` is 0 where no votes are known."""

    pictures: NDArray[np.float32]
    fer2013: NDArray[np.float32]
    ferplus: NDArray[np.float32]
    fer2013_weight: NDArray[np.float32]
    ferplus_weight: NDArray[np.float32]


def targets_of(
    faces: LabelledFaces, smoothing: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """(FER2013 one-hot with smoothing [n, 7], FER+ shares [n, 7], FER+ weight [n])."""
    hard = one_hot(faces.labels) * np.float32(1 - smoothing) + np.float32(smoothing / len(EMOTIONS))
    shares, weight = soft_ferplus(faces.votes)
    return hard.astype(np.float32), shares, weight


def balance(
    targets: NDArray[np.float32], weight: NDArray[np.float32], power: float
) -> NDArray[np.float32]:
    """Weights float32 [n] that make rare emotions count for more, with a weighted mean of 1.

    An emotion counts by its frequency to the power ``-power``: 0 leaves all alike, 1 makes all
    emotions count the same. ``targets`` float32 [n, 7] are shares, ``weight`` [n] their weights.
    """
    frequency = (targets * weight[:, None]).sum(axis=0) / max(float(weight.sum()), 1e-9)
    found = targets @ np.maximum(frequency, 1e-4) ** -power
    mean = float((found * weight).sum()) / max(float(weight.sum()), 1e-9)
    return np.asarray(found / max(mean, 1e-9), dtype=np.float32)


def soft_targets(
    faces: LabelledFaces, recipe: MienRecipe, answers: Taught | None = None
) -> tuple[NDArray[np.float32], ...]:
    """What all pictures are trained on: both targets [n, 7] and both weights [n] of :class:`Batch`.

    ``answers`` are teachers' probabilities for ``faces``, mixed in by ``recipe.teacher_share``; a
    picture without votes learns the FER+ head from its teachers alone.
    """
    hard, shares, weight = targets_of(faces, recipe.smoothing)
    if answers is not None:
        hard = blend(hard, answers["fer2013"], recipe.teacher_share)
        unvoted = (weight == 0)[:, None]
        blended = blend(shares, answers["ferplus"], recipe.teacher_share)
        shares = np.where(unvoted, answers["ferplus"], blended)
        weight = np.maximum(weight, np.float32(recipe.teacher_share))
    each = balance(one_hot(faces.labels), np.ones(len(faces), np.float32), recipe.balance)
    return hard, shares, each, weight * balance(shares, weight, recipe.balance)


def epoch_batches(
    faces: LabelledFaces,
    recipe: MienRecipe,
    epoch: int,
    seed: int,
    answers: Taught | None = None,
) -> Iterator[Batch]:
    """One epoch's batches in an order and with changes fixed by ``(seed, epoch)`` alone.

    The last incomplete batch is left out where there is at least one whole batch.
    """
    generator = np.random.default_rng([seed, epoch])
    strength = recipe.augmentation
    if not recipe.mixes(epoch):
        strength = replace(strength, mixup=0.0)
    side = recipe.side_of(epoch)
    hard, shares, each, weight = soft_targets(faces, recipe, answers)
    order = generator.permutation(len(faces))
    size = min(recipe.batch, len(order))
    for start in range(0, len(order) - size + 1, size):
        rows = order[start : start + size]
        pictures = augment_batch(faces.images[rows], side, strength, generator)
        pictures, mixed = mixup_batch(
            pictures, [hard[rows], shares[rows], each[rows], weight[rows]], strength, generator
        )
        yield Batch(pictures, *mixed)


def in_background(batches: Iterator[Batch], ahead: int = 4) -> Iterator[Batch]:
    """The same batches, made up to ``ahead`` in advance by a thread; its errors are raised here."""
    ready: queue.Queue[Batch | BaseException | None] = queue.Queue(maxsize=ahead)
    stopping = threading.Event()

    def put(item: Batch | BaseException | None) -> bool:
        while not stopping.is_set():
            try:
                ready.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def fill() -> None:
        try:
            for batch in batches:
                if not put(batch):
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001 - handed to the consumer, which raises it
            put(error)

    thread = threading.Thread(target=fill, name="batches", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopping.set()
        thread.join(timeout=5)
