"""Named recipes: everything that decides what is trained, apart from the data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from training.data.arrival import Arrival
from training.data.augment import Augmentation
from training.recipes.efficientnet_lite import LiteSpec, build_lite
from training.recipes.mobilenet import MobileNetSpec, build_mobilenet
from training.recipes.networks import DEEP, WIDE, MienSpec, build_mien

Spec = MienSpec | LiteSpec | MobileNetSpec


@dataclass(frozen=True, slots=True)
class MienRecipe:
    """The training of a network with two heads.

    ``resolutions`` holds (share of the epochs, side in pixels), in order; ``peak`` is the highest
    learning rate for a batch of ``batch``; ``warmup`` the share of steps up to it, then a cosine
    to zero (one-cycle, Smith 2018). ``averaging`` is the decay of the weight average per step.
    The last ``plain_tail`` share of the epochs trains without mixup. ``ferplus_weight`` weighs
    the FER+ head's loss against the FER2013 head's. ``serving_side`` is the side of the pictures
    that the saved network takes, like the last resolution: on validation, a network trained to 44
    read 66.5 % at 44 and 65.6 % at 48, at five sixths of the cost. ``continues`` says
    that training begins with the weights of a published version. ``teacher_share`` is the part
    of every target that comes from teachers, where there are any (``distil.py``). ``balance`` is
    how much more rare emotions count (``batches.balance``). For the first ``frozen`` share of the
    epochs only the heads learn. ``optimizer`` is ``sgd`` (with Nesterov's momentum) or ``adamw``.
    """

    epochs: int = 24
    batch: int = 128
    peak: float = 0.1
    warmup: float = 0.12
    optimizer: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 5e-4
    averaging: float = 0.998
    smoothing: float = 0.05
    ferplus_weight: float = 1.0
    plain_tail: float = 0.12
    resolutions: tuple[tuple[float, int], ...] = ((0.4, 32), (0.35, 40), (0.25, 44))
    serving_side: int = 44
    validation: float = 0.1
    continues: bool = False
    teacher_share: float = 0.5
    balance: float = 0.0
    frozen: float = 0.0
    augmentation: Augmentation = field(default_factory=Augmentation)
    network: Spec = field(default_factory=MienSpec)

    @property
    def frozen_epochs(self) -> int:
        """How many epochs, the first ones, train the heads alone."""
        return round(self.frozen * self.epochs)

    def side_of(self, epoch: int) -> int:
        """Side in pixels of epoch ``epoch`` (from 0)."""
        done = 0.0
        for share, side in self.resolutions:
            done += share * self.epochs
            if epoch < done - 1e-9:
                return side
        return self.resolutions[-1][1]

    def rate_of(self, step: int, steps: int) -> float:
        """Learning rate of ``step`` (from 0) out of ``steps``."""
        rise = max(1, round(self.warmup * steps))
        if step < rise:
            return self.peak * (0.05 + 0.95 * step / rise)
        progress = (step - rise) / max(1, steps - rise)
        return self.peak * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    def mixes(self, epoch: int) -> bool:
        """Whether epoch ``epoch`` (from 0) uses mixup."""
        return epoch < self.epochs * (1 - self.plain_tail)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


LITE = MienRecipe(
    epochs=10,
    peak=0.012,
    warmup=0.15,
    weight_decay=1e-4,
    resolutions=((0.6, 64), (0.4, 96)),
    serving_side=96,
    frozen=0.1,
    network=LiteSpec(0),
)

MIEN_RECIPES: dict[str, MienRecipe] = {
    "mien": MienRecipe(),
    # Goes on from a published version: no small pictures any more and half the learning rate.
    "mien-tune": MienRecipe(
        epochs=40, peak=0.05, warmup=0.05, resolutions=((0.5, 40), (0.5, 44)), continues=True
    ),
    # The same for faces as a detector finds them, and less shy of rare expressions.
    "mien-robust": MienRecipe(
        epochs=12,
        peak=0.03,
        warmup=0.05,
        resolutions=((0.4, 40), (0.6, 44)),
        continues=True,
        balance=0.3,
        augmentation=Augmentation(arrival=Arrival()),
    ),
    # As mien-tune, with blocks put in that change nothing at first: a deeper network that begins as
    # the version it goes on from.
    "mien-deepen": MienRecipe(
        epochs=40,
        peak=0.05,
        warmup=0.05,
        resolutions=((0.5, 40), (0.5, 44)),
        continues=True,
        network=DEEP,
    ),
    # A wide network from random weights, long and on pictures that change much: a teacher. On two
    # cores it would take days.
    "mien-wide": MienRecipe(
        epochs=240,
        batch=256,
        peak=0.15,
        warmup=0.05,
        averaging=0.999,
        plain_tail=0.05,
        balance=0.15,
        augmentation=replace(Augmentation().times(1.6), arrival=Arrival(chance=0.3)),
        network=WIDE,
    ),
    # Two phases from ImageNet weights: the heads while the rate rises, then everything.
    "efficientnet-lite": LITE,
    "efficientnet-lite2": replace(
        LITE, network=LiteSpec(2), resolutions=((0.4, 80), (0.6, 112)), serving_side=112
    ),
    # From weights that tell faces apart. What it takes in the end is FER2013's size; changed
    # pictures are a little larger, so that turning them costs no detail.
    "mobilenet-faces": MienRecipe(
        epochs=10,
        peak=1e-3,
        warmup=0.1,
        optimizer="adamw",
        weight_decay=0.05,
        resolutions=((1.0, 64),),
        serving_side=48,
        teacher_share=0.25,
        augmentation=Augmentation(arrival=Arrival(chance=0.3)),
        network=MobileNetSpec(),
    ),
}


def build_network(spec: Spec, side: int | None) -> Any:
    """The Keras model of a spec: float32 [n, side, side, 1] in ``[0, 255]`` -> logits [n, 7] twice.

    ``side`` None takes any size, which MobileNet does not.
    """
    if isinstance(spec, MobileNetSpec):
        return build_mobilenet(spec, side or spec.enlarged)
    if isinstance(spec, LiteSpec):
        return build_lite(spec, side)
    return build_mien(spec, side)


def spec_from(stored: Mapping[str, Any]) -> Spec:
    """A spec as JSON keeps it, whose tuples are lists there. Raises TypeError for another form."""
    if "fixed" in stored:
        return MobileNetSpec(**stored)
    if "number" in stored:
        return LiteSpec(**stored)
    blocks = tuple((int(filters), int(stride)) for filters, stride in stored["blocks"])
    first, second = stored["stem"]
    return MienSpec(**{**stored, "stem": (int(first), int(second)), "blocks": blocks})
