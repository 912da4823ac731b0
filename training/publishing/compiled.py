"""The network as it is published: folded, rounded, compiled, and checked on the golden inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from training.data.dataset import SIDE
from training.evaluation.scoring import SMALLEST_PROBABILITY, heads_of, input_spec_of
from training.litert import (
    MAX_INT8_DIFFERENCE,
    Agreement,
    compare,
    convert,
    golden_bytes,
    keras_logits,
)
from training.publishing.compact import (
    View,
    average_views,
    fold_batch_norms,
    keras_copy,
    round_to_half,
    save_keras,
    views_of,
)
from training.publishing.golden import golden_inputs
from webapp.card import GOLDEN_FILE, KERAS_FILE, TFLITE_FILE, HeadSpec, sha256_of
from webapp.errors import ModelInvalid

WEIGHTS = ("auto", "half", "full", "int8")
VIEWS = ("one", "both", "alternate")


@dataclass(frozen=True)
class Compiled:
    """``agreement`` is how far the LiteRT form that computes in float32 is from Keras, and
    ``int8`` how far the published one is where that multiplies in int8; ``half_weights`` whether
    the weights were rounded to float16; ``views`` the looks whose logits are averaged.
    """

    model: Any
    tflite: bytes
    golden: bytes
    agreement: Agreement
    heads: tuple[HeadSpec, ...]
    half_weights: bool
    views: tuple[View, ...]
    int8: Agreement | None = None

    def write(self, folder: Path) -> dict[str, str]:
        """Write the files of a version, less its card; their SHA-256 by name."""
        save_keras(self.model, folder / KERAS_FILE)
        (folder / TFLITE_FILE).write_bytes(self.tflite)
        (folder / GOLDEN_FILE).write_bytes(self.golden)
        return {path.name: sha256_of(path) for path in sorted(folder.iterdir())}


def compile_model(
    model: Any,
    *,
    members: Sequence[Any] = (),
    views: str = "one",
    weights: str = "auto",
    fold: bool = True,
    adapt: Callable[[Any], Any] | None = None,
) -> Compiled:
    """Fold norms, adapt, round, average views, convert, and compare LiteRT with Keras.

    ``members`` are further networks of an ensemble, and ``views`` of :data:`VIEWS` is what its
    networks look at (:func:`training.publishing.compact.views_of`).
    ``weights`` half stores float16 (half the size), full float32; auto takes half where LiteRT
    stays within the tolerance with it. ``int8`` is checked as half first, so that what it differs
    by is rounding alone: about four times as fast where the processor multiplies int8 natively,
    and half the size. ``fold`` False leaves norms as they are; ``adapt`` gives another network
    with the same heads around the folded one. Raises :class:`ModelInvalid` where the limits are
    passed, and for outputs that are not seven values.
    """
    inputs = golden_inputs(input_spec_of(model))
    heads = heads_of(model, keras_logits(model, inputs))
    looks = views_of(1 + len(members), views)
    if len(looks) > 1 and any(head.kind != "logits" for head in heads):
        raise ModelInvalid("Averaging views needs heads that answer logits.")

    def prepared() -> list[Any]:
        ready = [fold_batch_norms(m) if fold else keras_copy(m) for m in (model, *members)]
        return ready if adapt is None else [adapt(one) for one in ready]

    folded = prepared()
    if weights == "auto":
        try:
            return _compile(folded, heads, looks, half=True)
        except (ModelInvalid, OverflowError):
            folded = prepared()  # the other was rounded in place
            return _compile(folded, heads, looks, half=False)
    half = weights in ("half", "int8")
    return _compile(folded, heads, looks, half=half, int8=weights == "int8")


def _margin(model: Any) -> int:
    """Pixels on each side that a network for smaller pictures leaves of FER2013's 48.

    On validation, ``mien-2`` in int8 read 69.9 / 84.7 % (FER2013 labels / FER+ majority) of the
    pictures made smaller, 69.7 / 85.2 % with their mirror, and 70.7 / 85.6 % with the mirror of
    their middle as it is.
    """
    _, height, width, _ = model.input_shape
    return (SIDE - height) // 2 if height == width < SIDE and height % 2 == 0 else 0


def _compile(
    networks: list[Any],
    heads: tuple[HeadSpec, ...],
    views: tuple[View, ...],
    half: bool,
    int8: bool = False,
) -> Compiled:
    if half:
        for network in networks:
            round_to_half(network)
    ready = networks[0]
    if len(views) > 1:
        ready = average_views(networks, views, _margin(ready))
    inputs = golden_inputs(input_spec_of(ready))
    answers = keras_logits(ready, inputs)
    # a single unnamed output is the FER2013 head in the card, whatever Keras calls it
    golden = dict(zip((head.name for head in heads), answers.values(), strict=True))
    content = convert(ready, stored="float16" if half else "float32")
    kinds = {head.name: head.kind for head in heads}
    agreement = compare(golden, content, inputs, kinds)
    rounded = None
    if int8:
        content = convert(ready, stored="int8")
        rounded = compare(golden, content, inputs, kinds, MAX_INT8_DIFFERENCE)
    outputs = (rounded or agreement).outputs
    # golden.npz holds logits for every kind of head, as the serving classifier answers them
    logits = {
        name: np.log(np.maximum(values, SMALLEST_PROBABILITY))
        if kinds[name] == "probabilities"
        else values
        for name, values in golden.items()
    }
    placed = tuple(replace(head, output=outputs[head.name]) for head in heads)
    golden_file = golden_bytes(inputs, logits)
    return Compiled(ready, content, golden_file, agreement, placed, half, views, rounded)
