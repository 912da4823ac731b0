"""Keras training state in one file, on any backend: written whole or not at all."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.dataset import DatasetError
from webapp.files.atomic import replacing

CHECKPOINT_FILE = "checkpoint.npz"


def save_state(
    run: Path, model: Any, epochs_done: int, mean: list[npt.NDArray[Any]] | None = None
) -> None:
    """Write every variable of the model (dropout's random state too) and of its optimizer.

    ``mean`` are averaged weights in the order of ``model.get_weights()``.
    """
    arrays: dict[str, Any] = {"epochs_done": np.int64(epochs_done)}
    for kind, variables in (("model", model.variables), ("optimizer", model.optimizer.variables)):
        for number, variable in enumerate(variables):
            arrays[f"{kind}_{number}"] = np.asarray(_array(variable))
    for number, values in enumerate(mean or ()):
        arrays[f"mean_{number}"] = values
    with replacing(run / CHECKPOINT_FILE) as stream:
        np.savez(stream, **arrays)


def read_state(run: Path) -> dict[str, npt.NDArray[Any]] | None:
    """The arrays of the checkpoint, or None where there is none.

    Raises DatasetError for a file that cannot be read.
    """
    path = run / CHECKPOINT_FILE
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as archive:
            return dict(archive)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path.name} cannot be read: {error}. Start a new run.") from error


def restore(state: dict[str, npt.NDArray[Any]], model: Any, *, optimizer: bool = True) -> None:
    """Put the arrays of :func:`read_state` back; the model must be of the same recipe."""
    groups = [("model", model.variables)]
    if optimizer:
        model.optimizer.build(model.trainable_variables)
        groups.append(("optimizer", model.optimizer.variables))
    for kind, variables in groups:
        kept = sum(name.startswith(f"{kind}_") for name in state)
        if kept != len(variables):
            raise DatasetError(
                f"The checkpoint holds {kept} variables of the {kind}. Expected "
                f"{len(variables)}: it is of another recipe."
            )
        for number, variable in enumerate(variables):
            variable.assign(state[f"{kind}_{number}"])


def mean_of(state: dict[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
    """The averaged weights of :func:`save_state`, in order."""
    count = sum(name.startswith("mean_") for name in state)
    return [state[f"mean_{number}"] for number in range(count)]


def _array(variable: Any) -> Any:
    from keras import ops

    return ops.convert_to_numpy(variable.value)
