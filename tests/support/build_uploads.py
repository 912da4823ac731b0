"""Files that an administrator might upload, good and bad; run as a process (it needs Keras).

``python -m tests.support.build_uploads FOLDER`` writes them into FOLDER. The Lambda layers would
create ``FOLDER/hacked`` when they are loaded.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from keras import layers

ALPHABETICAL = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


def network(
    outputs: int = 7, shape: tuple[int, ...] = (48, 48, 1), extra: Any = None, seed: int = 3
) -> keras.Model:
    """A small classifier for pixels from 0 to 1, as people save them."""
    keras.utils.set_random_seed(seed)
    parts: list[Any] = [layers.Input(shape)]
    if extra is not None:
        parts.append(extra)
    parts += [
        layers.Conv2D(8, 3, strides=2, activation="relu"),
        layers.BatchNormalization(),
        layers.AveragePooling2D(4),
        layers.Flatten(),
        layers.Dense(outputs, activation="softmax", kernel_initializer="random_normal"),
    ]
    model = keras.Sequential(parts)
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel * 40, bias])
    return model


def main(folder: Path) -> None:
    good = network()
    good.save(folder / "good.keras")
    good.save(folder / "good.h5")
    good.save_weights(folder / "good.weights.h5")
    network(8).save(folder / "eight.keras")
    network(shape=(48, 48, 2)).save(folder / "two-channels.keras")
    two = keras.Input((48, 48, 1)), keras.Input((48, 48, 1))
    both = layers.Dense(7)(layers.Flatten()(layers.Add()(list(two))))
    keras.Model(list(two), both).save(folder / "two-inputs.keras")

    bad = network()
    kernel, bias = bad.layers[-1].get_weights()
    bad.layers[-1].set_weights([kernel, bias * np.nan])
    bad.save(folder / "nan.keras")
    bad.save(folder / "nan.h5")
    bad.layers[-1].set_weights([kernel * 0, bias])
    bad.save(folder / "constant.keras")

    target = str(folder / "hacked")
    code = layers.Lambda(lambda x, at=target: (Path(at).touch(), x)[1])
    evil = network(extra=code)
    Path(target).unlink(missing_ok=True)  # building it ran the code once
    evil.save(folder / "lambda.keras")
    evil.save(folder / "lambda.h5")
    Path(target).unlink(missing_ok=True)

    content = (folder / "good.keras").read_bytes()
    (folder / "truncated.keras").write_bytes(content[: len(content) // 2])
    content = (folder / "good.h5").read_bytes()
    (folder / "truncated.h5").write_bytes(content[: len(content) // 2])
    with zipfile.ZipFile(folder / "good.keras") as source:
        parts = {name: source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(folder / "upward.keras", "w") as target_zip:
        for name, data in parts.items():
            target_zip.writestr(name, data)
        target_zip.writestr("../outside.txt", b"gotcha")
    with h5py.File(folder / "linked.h5", "w") as file:
        file.attrs["model_config"] = "{}"
        file["weights"] = h5py.ExternalLink("/etc/hostname", "/data")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
