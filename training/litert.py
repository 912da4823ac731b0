"""LiteRT compilation of a Keras model and the check that both give the same numbers.

LiteRT may order the outputs differently from Keras, and their names do not survive the
conversion, so outputs are matched by value on the golden inputs.
"""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from webapp.domain import EMOTIONS
from webapp.errors import ModelInvalid

FloatArray = npt.NDArray[np.float32]
MAX_PROBABILITY_DIFFERENCE = 1e-5
MAX_INT8_DIFFERENCE = 0.1


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far LiteRT is from Keras on the golden inputs (largest absolute differences).

    ``outputs`` maps a head's name to its LiteRT output index.
    """

    outputs: Mapping[str, int]
    probabilities: float
    logits: float


def quieten() -> None:
    """Keep TensorFlow's start-up notes off the console; call before its first import."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def softmax(logits: npt.ArrayLike, temperature: float = 1.0) -> FloatArray:
    """Probabilities float32 ``[N, 7]`` of logits ``[N, 7]`` divided by ``temperature``."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    scaled -= scaled.max(axis=-1, keepdims=True)
    powers = np.exp(scaled)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), dtype=np.float32)


def head_names(model: Any) -> list[str]:
    """The names of a Keras model's outputs, in the order in which a call returns them."""
    structure = model.output
    if isinstance(structure, Mapping):
        return list(structure)
    return list(model.output_names)


def keras_logits(model: Any, crops_nhwc: FloatArray, batch: int = 256) -> dict[str, FloatArray]:
    """Raw outputs of a Keras model by head name, each float32 ``[N, 7]``.

    ``crops_nhwc`` is float32 ``[N, H, W, C]`` in ``[0, 255]``. Runs on any Keras backend.
    """
    names = head_names(model)
    parts: dict[str, list[FloatArray]] = {name: [] for name in names}
    for start in range(0, len(crops_nhwc), batch):
        outputs = model.predict_on_batch(crops_nhwc[start : start + batch])
        if isinstance(outputs, Mapping):
            found = dict(outputs)
        elif isinstance(outputs, (list, tuple)):
            found = dict(zip(names, outputs, strict=True))
        else:
            found = {names[0]: outputs}
        for name in names:
            parts[name].append(np.asarray(found[name], dtype=np.float32))
    return {
        name: np.concatenate(chunks) if chunks else np.zeros((0, len(EMOTIONS)), np.float32)
        for name, chunks in parts.items()
    }


def convert(model: Any, *, stored: str = "float32") -> bytes:
    """A Keras model as LiteRT bytes, the batch dimension left open; float32 in and out.

    ``stored`` is how the weights are kept. ``float16`` computes in float32 all the same and
    changes nothing where they are float16 numbers already. ``int8`` rounds them by output
    channel and multiplies in int8, each layer's input rounded to int8 by its own range as it
    comes (dynamic-range quantisation); :func:`compare` tells by how much either differs.

    Needs Keras' TensorFlow backend, whatever backend trained the model; raises ModelInvalid
    under another, and OSError where there is no room for what is converted.
    """
    quieten()
    import keras
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        raise ModelInvalid(
            "LiteRT compilation needs Keras' TensorFlow backend. Received "
            f"{keras.backend.backend()!r}. Set KERAS_BACKEND=tensorflow for this command; "
            "the saved model is the same."
        )
    with tempfile.TemporaryDirectory() as scratch:
        # from_keras_model would print its signature on standard output, where JSON may go
        try:
            model.export(scratch, verbose=False)
        except tf.errors.OpError as error:  # it is what TensorFlow makes of a full disk
            why = error.message.rpartition("; ")[2]
            raise OSError(f"The network cannot be written to {scratch}: {why}") from error
        converter = tf.lite.TFLiteConverter.from_saved_model(scratch)
        if stored != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if stored == "float16":
            converter.target_spec.supported_types = [tf.float16]
        content: bytes = converter.convert()
    return content


def litert_outputs(content: bytes | Path, crops_nhwc: FloatArray) -> list[FloatArray]:
    """Every LiteRT output for float32 ``[N, H, W, C]`` crops, by output index, one thread."""
    from ai_edge_litert.interpreter import Interpreter

    source: dict[str, Any] = (
        {"model_path": str(content)} if isinstance(content, Path) else {"model_content": content}
    )
    interpreter = Interpreter(num_threads=1, **source)
    entry = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(entry, crops_nhwc.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry, crops_nhwc)
    interpreter.invoke()
    return [
        np.array(interpreter.get_tensor(detail["index"]), dtype=np.float32)
        for detail in interpreter.get_output_details()
    ]


def compare(
    golden: Mapping[str, FloatArray],
    content: bytes | Path,
    crops_nhwc: FloatArray,
    kinds: Mapping[str, str] | None = None,
    tolerance: float = MAX_PROBABILITY_DIFFERENCE,
) -> Agreement:
    """Match LiteRT outputs to Keras heads by value and measure the difference.

    ``golden`` maps a head's name to Keras outputs float32 ``[n, 7]`` of ``crops_nhwc``;
    ``kinds`` says which of them are ``probabilities`` already. Raises
    :class:`ModelInvalid` when an output is missing, ambiguous or its probabilities are further
    than ``tolerance`` from Keras.
    """
    outputs = litert_outputs(content, crops_nhwc)
    chosen: dict[str, int] = {}
    worst_probability = worst_logit = 0.0
    for name, expected in golden.items():
        ready = (kinds or {}).get(name) == "probabilities"
        distances = [
            float(np.abs(output - expected if ready else softmax(output) - softmax(expected)).max())
            if output.shape == expected.shape
            else np.inf
            for output in outputs
        ]
        index = int(np.argmin(distances))
        if not distances[index] <= tolerance:
            raise ModelInvalid(
                f"LiteRT differs from Keras on head {name!r}: expected probabilities within "
                f"{tolerance:g}. Received a difference of {distances[index]:.3g}.",
                head=name,
            )
        if index in chosen.values():
            raise ModelInvalid(
                f"LiteRT output {index} matches two heads; it is unclear which it is."
            )
        chosen[name] = index
        worst_probability = max(worst_probability, distances[index])
        worst_logit = max(worst_logit, float(np.abs(outputs[index] - expected).max()))
    return Agreement(chosen, worst_probability, worst_logit)


def golden_bytes(crops_nhwc: FloatArray, logits: Mapping[str, FloatArray]) -> bytes:
    """The content of ``golden.npz``: ``inputs`` and one array of Keras logits per head."""
    buffer = io.BytesIO()
    # a fixed date in the archive makes the same model give the same bytes
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in {"inputs": crops_nhwc, **logits}.items():
            member = io.BytesIO()
            np.save(member, np.asarray(array, dtype=np.float32))
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())
    return buffer.getvalue()
