"""Builds the tiny two-head version's files; run as a process so that tests stay free of TensorFlow.

``python -m tests.support.build_tiny FOLDER SEED`` writes model.keras, model.tflite, golden.npz
and outputs.json (head name -> LiteRT output index) into FOLDER.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import keras
import numpy as np

from training.litert import compare, convert, golden_bytes, keras_logits
from webapp.card import GOLDEN_FILE, KERAS_FILE, TFLITE_FILE
from webapp.domain import EMOTIONS


def build(seed: int) -> keras.Model:
    """A 48x48 grey net of some thousand weights whose answers differ between pictures."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((48, 48, 1), name="face")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    for width in (8, 16):
        x = keras.layers.Conv2D(width, 3, strides=2, padding="same", activation="relu")(x)
    x = keras.layers.AveragePooling2D(2)(x)
    x = keras.layers.Flatten()(x)
    outputs = {}
    for offset, name in enumerate(("fer2013", "ferplus")):
        wide = keras.initializers.RandomNormal(stddev=1.0, seed=2 * seed + offset)
        outputs[name] = keras.layers.Dense(len(EMOTIONS), name=name, kernel_initializer=wide)(x)
    return keras.Model(inputs, outputs)


def main(folder: Path, seed: int) -> None:
    model = build(seed)
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (16, 6, 6, 1)).repeat(8, axis=1).repeat(8, axis=2)
    crops = coarse.astype(np.float32)
    for name, values in keras_logits(model, crops).items():
        # centred, else one emotion wins on every picture
        kernel, _ = model.get_layer(name).get_weights()
        model.get_layer(name).set_weights([kernel, -values.mean(axis=0)])
    logits = keras_logits(model, crops)
    content = convert(model)
    model.save(folder / KERAS_FILE)
    (folder / TFLITE_FILE).write_bytes(content)
    (folder / GOLDEN_FILE).write_bytes(golden_bytes(crops, logits))
    outputs = dict(compare(logits, content, crops).outputs)
    (folder / "outputs.json").write_text(json.dumps(outputs), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
