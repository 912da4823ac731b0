"""The expression network, run by LiteRT on one thread."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from webapp.card import GOLDEN_FILE, TFLITE_FILE, ModelCard
from webapp.domain import EMOTIONS
from webapp.errors import ModelInvalid

if TYPE_CHECKING:
    from typing import Self

_SMALLEST_PROBABILITY = 1e-7
MAX_MEMORY_MB = 4096  # of a process that only checks a model


class Classifier:
    """Crops to logits and calibrated probabilities. Belongs to one thread."""

    def __init__(self, model: bytes, card: ModelCard) -> None:
        self.card = card
        self._heads = card.heads
        self._interpreter = self._open(model)
        self._input = self._check()
        self._outputs = [
            self._interpreter.get_output_details()[head.output]["index"] for head in self._heads
        ]
        self._try()

    @classmethod
    def from_version(cls, folder: Path, card: ModelCard | None = None) -> Self:
        """Load ``model.tflite`` of a version folder; the card is read when it is not given.

        Raises :class:`ModelInvalid` when a file is missing or the network does not fit its card.
        """
        card = card or ModelCard.load(folder)
        try:
            model = (folder / TFLITE_FILE).read_bytes()
        except OSError as error:
            raise ModelInvalid(
                f"{TFLITE_FILE} of {folder.name} cannot be read: {error.strerror}."
            ) from error
        return cls(model, card)

    def logits(self, crops_nhwc: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """Logits of every head by name, float32 ``[N, 7]`` in the order of ``EMOTIONS``.

        ``crops_nhwc`` is float32 ``[N, H, W, C]`` in ``[0, 255]`` as the card's input says. For a
        head of kind ``probabilities`` they are the logarithms of its outputs. Raises
        :class:`ValueError` for another shape and :class:`ModelInvalid` for outputs that are not
        finite.
        """
        spec = self.card.input
        expected = (spec.height, spec.width, spec.channels)
        if crops_nhwc.ndim != 4 or crops_nhwc.shape[1:] != expected:
            raise ValueError(f"Expected crops [N, *{expected}]. Received {crops_nhwc.shape}.")
        count = len(crops_nhwc)
        result = {head.name: np.empty((count, len(EMOTIONS)), np.float32) for head in self._heads}
        # One face at a time: measured on one core, a face costs the same in a batch of 1 to 8
        # (3.6, 3.5, 3.4, 3.8, 3.9 ms at 142 MMACs), and planning another batch size costs 9 ms.
        for row in range(count):
            crop = np.ascontiguousarray(crops_nhwc[row : row + 1], np.float32)
            self._interpreter.set_tensor(self._input, crop)
            self._interpreter.invoke()
            for head, output in zip(self._heads, self._outputs, strict=True):
                value = self._interpreter.get_tensor(output)
                if head.kind == "probabilities":
                    value = np.log(np.maximum(value, _SMALLEST_PROBABILITY))
                result[head.name][row] = value[0]
        for name, values in result.items():
            if not np.isfinite(values).all():
                raise ModelInvalid(
                    f"Model {self.card.version}: head {name!r} gave values that are not finite.",
                    head=name,
                )
        return result

    def probabilities(
        self, crops_nhwc: npt.NDArray[np.float32], head: str | None = None
    ) -> npt.NDArray[np.float32]:
        """Calibrated probabilities of one head, or of what the card serves, float32 ``[N, 7]``.

        Softmax of the logits divided by the head's temperature (Guo et al. 2017). Raises as
        :meth:`logits`, and :class:`ModelInvalid` for an unknown head.
        """
        if head is None:
            return served(self.card, self.logits(crops_nhwc))
        spec = self.card.head(head)
        return softmax(self.logits(crops_nhwc)[spec.name] / np.float32(spec.temperature))

    def _open(self, model: bytes) -> Interpreter:
        try:
            return Interpreter(model_content=model, num_threads=1)
        except (ValueError, RuntimeError) as error:
            raise self._invalid(f"it is not a LiteRT model ({error})") from error

    def _invalid(self, why: str) -> ModelInvalid:
        return ModelInvalid(f"Model {self.card.version} does not fit its card: {why}.")

    def _check(self) -> int:
        """Compare the network with its card; the index of its input tensor."""
        spec = self.card.input
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        expected = [-1, spec.height, spec.width, spec.channels]
        if len(inputs) != 1 or inputs[0]["dtype"] != np.float32:
            raise self._invalid("expected one float32 input")
        received = [int(v) for v in inputs[0]["shape_signature"]]
        if received != expected:
            raise self._invalid(f"expected input {expected} (-1: any), received {received}")
        for head in self._heads:
            if not 0 <= head.output < len(outputs):
                raise self._invalid(
                    f"head {head.name!r} is output {head.output} of {len(outputs)} outputs"
                )
            detail = outputs[head.output]
            shape = [int(v) for v in detail["shape_signature"]]
            if detail["dtype"] != np.float32 or len(shape) != 2 or shape[1] != len(EMOTIONS):
                raise self._invalid(
                    f"expected {len(EMOTIONS)} float32 values from head {head.name!r}, "
                    f"received {shape}"
                )
        return int(inputs[0]["index"])

    def _try(self) -> None:
        """Run once, so that a fault shows when the model is loaded and not on the first face."""
        spec = self.card.input
        try:
            self._interpreter.allocate_tensors()
            self.logits(np.full((1, spec.height, spec.width, spec.channels), 127, np.float32))
        except (ValueError, RuntimeError) as error:
            raise self._invalid(f"it does not run ({error})") from error


def served(
    card: ModelCard, logits: Mapping[str, npt.NDArray[np.float32]]
) -> npt.NDArray[np.float32]:
    """The probabilities that the app shows, float32 ``[N, 7]``, from the logits of all heads.

    Those of the card's mixture (see :class:`webapp.card.Mixture`), or of its serving head.
    """
    mixture = card.mixture
    if mixture is None:
        head = card.head()
        return softmax(logits[head.name] / np.float32(head.temperature))
    total = np.asarray(mixture.adjustment, np.float32)
    for name, weight in mixture.weights.items():
        scale = np.float32(weight / card.head(name).temperature)
        total = total + scale * logits[name]
    return softmax(total / np.float32(mixture.temperature))


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Softmax over the last axis, computed in float64 so that the sum is 1 to 1e-6."""
    wide = logits.astype(np.float64)
    powers = np.exp(wide - wide.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), dtype=np.float32)


def check_golden(folder: Path) -> dict[str, float]:
    """Run the version's ``golden.npz`` and compare with the logits that Keras gave.

    Returns the largest absolute difference of each head, in probability where it answers
    probabilities. Raises :class:`ModelInvalid` when one is
    above the card's tolerance or a head is missing in the file. It allows for the arithmetic of
    another kind of processor; publishing holds a stricter one.
    """
    classifier = Classifier.from_version(folder)
    tolerance = classifier.card.golden_tolerance
    try:
        # through memory, because np.load leaves the file open when it is damaged
        content = io.BytesIO((folder / GOLDEN_FILE).read_bytes())
        with np.load(content, allow_pickle=False) as golden:
            wanted: dict[str, Any] = {name: golden[name] for name in golden.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ModelInvalid(f"{GOLDEN_FILE} of {folder.name} cannot be read: {error}") from error
    missing = {"inputs", *(head.name for head in classifier.card.heads)} - set(wanted)
    if missing:
        raise ModelInvalid(f"{GOLDEN_FILE} of {folder.name} lacks {', '.join(sorted(missing))}.")
    try:
        received = classifier.logits(wanted["inputs"])
        kinds = {head.name: head.kind for head in classifier.card.heads}
        differences = {
            # the logarithm of a probability near 0 magnifies a rounding that changes nothing
            name: float(np.max(np.abs(np.exp(values) - np.exp(wanted[name]))))
            if kinds[name] == "probabilities"
            else float(np.max(np.abs(values - wanted[name])))
            for name, values in received.items()
        }
    except ValueError as error:
        raise ModelInvalid(f"{GOLDEN_FILE} of {folder.name} does not fit: {error}") from error
    worst = max(differences.values())
    if not worst <= tolerance:  # NaN is refused too
        raise ModelInvalid(
            f"Model {folder.name} differs from its golden outputs by {worst:.3g}, "
            f"more than {tolerance:g}; it was damaged or wrongly converted.",
            differences=differences,
        )
    return differences
