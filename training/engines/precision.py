"""The number format that Keras trains in."""

from __future__ import annotations


def has_gpu() -> bool:
    """Whether Keras' backend sees a GPU."""
    import keras

    if keras.backend.backend() == "torch":
        import torch

        return bool(torch.cuda.is_available())
    return bool(keras.distribution.list_devices("gpu"))


def set_precision(name: str) -> str:
    """Choose Keras' precision and return it; ``auto`` is mixed_bfloat16 on a GPU."""
    import keras

    if name == "auto":
        name = "mixed_bfloat16" if has_gpu() else "float32"
    keras.mixed_precision.set_global_policy(name)
    return name
