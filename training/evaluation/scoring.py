"""Any model as one thing that turns faces into logits: a version, a run or a Keras file.

A published version is answered by the classifier that serves (``webapp.vision``), so that what
is measured is what users get.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.evaluation.keras2 import load_keras, load_older
from training.evaluation.outputs import check_outputs
from training.litert import convert, head_names, keras_logits
from webapp.card import (
    CARD_FILE,
    KERAS_FILE,
    TFLITE_FILE,
    HeadSpec,
    InputSpec,
    ModelCard,
    sha256_of,
)
from webapp.domain import EMOTIONS
from webapp.errors import ModelInvalid
from webapp.models.registry import Registry
from webapp.vision.classifier import Classifier
from webapp.vision.crops import to_batch

KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")
TIMED_FACES = 300
SMALLEST_PROBABILITY = 1e-7

FloatArray = npt.NDArray[np.float32]
Greys = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Scorer:
    """A model ready to be measured.

    ``file`` is what was measured and ``sha256`` its content; ``engine`` is litert or keras;
    ``litert`` gives a one-thread classifier for timing, or None where LiteRT cannot run it.
    """

    card: ModelCard
    file: Path
    sha256: str
    engine: str
    answer: Callable[[FloatArray], Mapping[str, FloatArray]]
    litert: Callable[[], Classifier] | None

    def logits(self, greys: Greys, batch: int = 256) -> dict[str, FloatArray]:
        """Logits by head, float32 ``[n, 7]``, of uint8 grey faces ``[n, h, w]``."""
        parts: dict[str, list[FloatArray]] = {head.name: [] for head in self.card.heads}
        for start in range(0, len(greys), batch):
            crops = to_batch(list(greys[start : start + batch]), self.card.input)
            for name, values in self.answer(crops).items():
                parts[name].append(values)
        return {name: np.concatenate(chunks) for name, chunks in parts.items()}

    def milliseconds_per_face(self, greys: Greys, faces: int = TIMED_FACES) -> dict[str, float]:
        """Median of one face at a time through LiteRT on one thread, after a warm-up.

        ``wall`` is what passed, ``cpu`` what the process used: a busy machine lengthens only the
        first. Empty where LiteRT cannot run the model.
        """
        if self.litert is None:
            return {}
        classifier = self.litert()
        crops = to_batch(list(greys[: min(len(greys), 64)]), self.card.input)
        wall, cpu = [], []
        for number in range(faces + 20):
            crop = crops[number % len(crops)][None]
            began_wall, began_cpu = time.perf_counter(), time.process_time()
            classifier.logits(crop)
            if number >= 20:
                cpu.append(time.process_time() - began_cpu)
                wall.append(time.perf_counter() - began_wall)
        return {"wall": float(np.median(wall)) * 1e3, "cpu": float(np.median(cpu)) * 1e3}


def open_model(model: str, models_dir: Path) -> Scorer:
    """``ACTIVE``, a version's name or folder, a run's folder, or a .keras or .h5 file.

    Raises :class:`webapp.errors.ModelInvalid` or NotFound when it cannot be used.
    """
    path = Path(model)
    if path.is_file():
        return _keras_file(path)
    if path.is_dir() and (path / CARD_FILE).is_file():
        return open_version(path)
    if path.is_dir() and (path / KERAS_FILE).is_file():
        return _keras_file(path / KERAS_FILE)
    if path.is_dir():
        raise ModelInvalid(f"{path} holds neither {CARD_FILE} nor {KERAS_FILE}.")
    registry = Registry(models_dir)
    found = registry.active() if model == "ACTIVE" else registry.get(model)
    return open_version(found.folder)


def open_version(folder: Path, card: ModelCard | None = None) -> Scorer:
    """A published version's folder, answered by the serving classifier."""
    card = card or ModelCard.load(folder)
    classifier = Classifier.from_version(folder, card)
    file = folder / TFLITE_FILE
    digest = sha256_of(file)
    listed = card.files.get(TFLITE_FILE)
    if listed is not None and listed != digest:
        raise ModelInvalid(
            f"{TFLITE_FILE} of {folder.name}: its card names SHA-256 {listed}. Received {digest}."
        )

    def litert() -> Classifier:
        return Classifier.from_version(folder, card)

    return Scorer(card, file, digest, "litert", classifier.logits, litert)


def input_spec_of(model: Any) -> InputSpec:
    """The input of a Keras model as a card says it. Raises ModelInvalid for another form."""
    shape = model.input_shape
    if not isinstance(shape, tuple) or len(shape) != 4 or None in shape[1:]:
        raise ModelInvalid(f"Expected one input [n, height, width, channels]. Received {shape}.")
    return InputSpec(int(shape[1]), int(shape[2]), int(shape[3]))


def heads_of(model: Any, sample: Mapping[str, FloatArray]) -> tuple[HeadSpec, ...]:
    """The heads of a Keras model: ``probabilities`` where what they answer for ``sample`` adds up
    to one, else ``logits``.

    Raises :class:`ModelInvalid` where an output has not seven values, or is neither. A single
    output that has no label set's name is the FER2013 head.
    """
    check_outputs(model)
    heads = []
    for index, name in enumerate(head_names(model)):
        values = sample[name]
        if values.ndim != 2 or values.shape[1] != len(EMOTIONS):
            raise ModelInvalid(
                f"Expected {len(EMOTIONS)} values from output {name!r}. "
                f"Received {list(values.shape[1:])}."
            )
        heads.append(HeadSpec(name, index, kinds_of({name: values})[name]))
    if len(heads) == 1:
        heads = [replace(heads[0], name="fer2013")]
    return tuple(heads)


def kinds_of(answers: Mapping[str, FloatArray]) -> dict[str, str]:
    """``probabilities`` for outputs [n, k] whose values add up to one, else ``logits``."""
    return {
        name: "probabilities"
        if values.min() >= 0 and np.abs(values.sum(axis=1) - 1).max() < 1e-3
        else "logits"
        for name, values in answers.items()
    }


def _keras_file(path: Path) -> Scorer:
    if path.suffix not in KERAS_SUFFIXES:
        raise ModelInvalid(
            f"Expected a version, a run or a file {', '.join(KERAS_SUFFIXES)}. "
            f"Received {path.name}."
        )
    model = load_older(path) if path.suffix in (".h5", ".hdf5") else load_keras(path)
    spec = input_spec_of(model)
    sample = np.random.default_rng(0).uniform(0, 255, (4, spec.height, spec.width, spec.channels))
    names = head_names(model)
    heads = heads_of(model, keras_logits(model, sample.astype(np.float32)))
    serving = "ferplus" if any(head.name == "ferplus" for head in heads) else heads[0].name
    card = ModelCard(path.stem, "unknown", "", spec, heads=heads, serving_head=serving)

    def answer(crops: FloatArray) -> dict[str, FloatArray]:
        found = keras_logits(model, crops)
        return {
            head.name: np.log(np.maximum(found[name], SMALLEST_PROBABILITY))
            if head.kind == "probabilities"
            else found[name]
            for name, head in zip(names, heads, strict=True)
        }

    def litert() -> Classifier:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            (folder / TFLITE_FILE).write_bytes(convert(model))
            return Classifier.from_version(folder, card)

    return Scorer(card, path, sha256_of(path), "keras", answer, litert)
