"""A ``tf.data`` pipeline of labelled faces for the recipes that Keras fits.

The pictures stay in memory as uint8; resizing and changes run in parallel while the network
trains. Works with every Keras backend: only the feeding is TensorFlow's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from training.data.dataset import LabelledFaces, one_hot

BATCH = 32


@dataclass(frozen=True, slots=True)
class Changes:
    """Random changes of training pictures: mirrored at a chance of one half where ``flip``;
    ``rotation`` in shares of a full turn, ``zoom`` in shares of the side, both ways.
    """

    flip: bool = True
    rotation: float = 0.1
    zoom: float = 0.1


def dataset(
    faces: LabelledFaces,
    *,
    side: int,
    channels: int,
    batch: int = BATCH,
    changes: Changes | None = None,
    seed: int | None = None,
) -> Any:
    """``tf.data.Dataset`` of (float32 ``[b, side, side, channels]`` in [0, 255], one-hot
    float32 ``[b, 7]``).

    Bilinear resizing; grey is repeated for three channels. With a ``seed`` the order is shuffled,
    and it and the changes follow from the seed alone; without, the order is kept.
    """
    import keras
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((faces.images[..., None], one_hot(faces.labels)))
    if seed is not None:
        data = data.shuffle(len(faces), seed=seed, reshuffle_each_iteration=False)

    def resized(image: Any, target: Any) -> Any:
        image = tf.image.resize(tf.cast(image, tf.float32), (side, side), method="bilinear")
        return tf.repeat(image, channels, axis=-1) if channels > 1 else image, target

    data = data.map(resized, num_parallel_calls=tf.data.AUTOTUNE).batch(batch)
    if changes is not None:
        layers = [
            *([keras.layers.RandomFlip("horizontal", seed=seed)] if changes.flip else []),
            keras.layers.RandomRotation(changes.rotation, fill_mode="nearest", seed=seed),
            keras.layers.RandomZoom(changes.zoom, fill_mode="nearest", seed=seed),
        ]

        def changed(images: Any, targets: Any) -> Any:
            for layer in layers:
                images = layer(images, training=True)
            return images, targets

        # in one thread, so that the layers' own random state gives the same changes every time
        data = data.map(changed, num_parallel_calls=1)
    return data.prefetch(tf.data.AUTOTUNE)


def steps_of(faces: LabelledFaces, batch: int) -> int:
    """Batches of one epoch, the last incomplete one counted."""
    return int(np.ceil(len(faces) / batch))
