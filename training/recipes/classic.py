"""Schedules of the recipes that Keras fits, and the networks ``seed`` and ``efficientnetb2``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from training.data.tf_data import BATCH, Changes
from training.recipes.weights import WeightsError
from webapp.domain import EMOTIONS


@dataclass(frozen=True, slots=True)
class Phase:
    """``epochs`` at the learning rate ``rate`` of Adam; ``frozen`` keeps the backbone fixed."""

    epochs: int
    rate: float
    frozen: bool = False


@dataclass(frozen=True)
class FitRecipe:
    """A recipe that Keras fits: input, phases, and the share of pictures to validate on."""

    name: str
    build: Callable[[str | None], Any]
    phases: tuple[Phase, ...]
    side: int
    channels: int = 3
    batch: int = BATCH
    validation: float = 0.25
    changes: Changes = field(default_factory=Changes)

    @property
    def epochs(self) -> int:
        return sum(phase.epochs for phase in self.phases)

    def phase_of(self, epoch: int) -> int:
        """Which phase epoch ``epoch`` (from 0) belongs to."""
        for number, phase in enumerate(self.phases):
            epoch -= phase.epochs
            if epoch < 0:
                return number
        return len(self.phases) - 1

    def with_epochs(self, epochs: int) -> FitRecipe:
        """The same recipe with ``epochs`` in all, the phases keeping their shares."""
        left, phases = epochs, []
        for number, phase in enumerate(self.phases):
            last = number == len(self.phases) - 1
            mine = left if last else min(left, max(1, round(epochs * phase.epochs / self.epochs)))
            left -= mine
            if mine:
                phases.append(Phase(mine, phase.rate, phase.frozen))
        return replace(self, phases=tuple(phases))

    def to_json(self) -> dict[str, Any]:
        return {
            "phases": [asdict(phase) for phase in self.phases],
            "epochs": self.epochs,
            "side": self.side,
            "channels": self.channels,
            "batch": self.batch,
            "validation": self.validation,
            "changes": asdict(self.changes),
            "optimizer": "adam",
            "class_weights": "largest count / count",
        }


def build_seed(_weights: str | None = None) -> Any:
    """The project's first network: four blocks of two convolutions, then one dense layer.

    float32 ``[n, 96, 96, 3]`` in [0, 255] -> ``fer2013``: seven probabilities. About 1,525 MMACs a
    face: valid padding at 96 pixels makes the second convolution alone 793.
    """
    import keras
    from keras import layers

    picture = layers.Input((96, 96, 3), name="picture")
    x = layers.Rescaling(1 / 255.0, name="unit")(picture)
    plan = ((64, 5, 0.3), (128, 3, 0.3), (256, 3, 0.3), (512, 3, 0.15))
    for number, (filters, size, dropout) in enumerate(plan, start=1):
        for part in ("a", "b"):
            x = layers.Conv2D(filters, size, activation="relu", name=f"conv{number}{part}")(x)
            x = layers.BatchNormalization(name=f"norm{number}{part}")(x)
        x = layers.MaxPooling2D(name=f"pool{number}")(x)
        x = layers.Dropout(dropout, name=f"drop{number}")(x)
    x = layers.Dense(512, activation="relu", name="dense")(layers.Flatten(name="flat")(x))
    x = layers.BatchNormalization(name="norm_dense")(x)
    x = layers.Dropout(0.15, name="drop_dense")(x)
    scores = layers.Dense(len(EMOTIONS), activation="softmax", dtype="float32", name="fer2013")(x)
    return keras.Model(picture, scores, name="seed")


def build_efficientnetb2(weights: str | None = "imagenet") -> Any:
    """EfficientNetB2 (Tan and Le 2019) and a new head; its normalisation is inside.

    float32 ``[n, 96, 96, 3]`` in [0, 255] -> ``fer2013``: seven probabilities. ``weights``:
    ``imagenet`` downloads, ``none`` starts at random, anything else is a weights file without the
    top. Raises :class:`WeightsError` when they cannot be had.
    """
    import keras
    from keras import layers

    path = None
    if weights not in (None, "none"):
        path = _imagenet_file() if weights == "imagenet" else Path(str(weights))
        if not path.is_file():
            raise WeightsError(f"Expected a weights file of EfficientNetB2. {path} is not there.")
    picture = layers.Input((96, 96, 3), name="picture")
    backbone = keras.applications.EfficientNetB2(
        include_top=False, weights=None, input_shape=(96, 96, 3), pooling="avg"
    )
    if path is not None:
        try:
            backbone.load_weights(path)
        except (ValueError, OSError, KeyError) as error:
            raise WeightsError(
                f"{path.name} does not fit EfficientNetB2 without its top: {error}"
            ) from error
    backbone.name = "backbone"
    x = layers.Dropout(0.3, name="drop")(backbone(picture))
    scores = layers.Dense(len(EMOTIONS), activation="softmax", dtype="float32", name="fer2013")(x)
    return keras.Model(picture, scores, name="efficientnetb2")


def _imagenet_file() -> Path:
    import keras

    name = "efficientnetb2_notop.h5"
    base = "https://storage.googleapis.com/keras-applications/"
    try:
        return Path(keras.utils.get_file(name, base + name, cache_subdir="models"))
    except Exception as error:
        raise WeightsError(
            "The ImageNet weights of EfficientNetB2 could not be downloaded "
            f"({type(error).__name__}). Give a file with --weights, fetched from {base}{name}, or "
            "start at random with --weights none, which learns far worse."
        ) from error


FIT_RECIPES: dict[str, FitRecipe] = {
    "seed": FitRecipe("seed", build_seed, (Phase(25, 1e-3),), side=96),
    "efficientnetb2": FitRecipe(
        "efficientnetb2",
        build_efficientnetb2,
        (Phase(8, 1e-3, frozen=True), Phase(17, 1e-4)),
        side=96,
        validation=0.1,
    ),
}
