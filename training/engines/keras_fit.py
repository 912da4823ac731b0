"""Train the recipes of ``recipes/classic.py`` with Keras' own fit, one epoch at a time."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from training.data.dataset import LabelledFaces, class_weights, one_hot
from training.data.tf_data import dataset, steps_of
from training.engines.checkpoints import read_state, restore, save_state
from training.engines.precision import set_precision
from training.evaluation.metrics import confusion_matrix, macro_scores
from training.recipes.classic import FitRecipe
from training.runs import read_history, write_history


def train_fit(
    run: Path,
    recipe: FitRecipe,
    training: LabelledFaces,
    validation: LabelledFaces,
    *,
    seed: int,
    resume: bool,
    report: Callable[[dict[str, Any]], None],
    weights: str | None = None,
    precision: str = "auto",
) -> Any:
    """Fit and return the Keras model, float32.

    Raises :class:`training.recipes.weights.WeightsError`.

    Each epoch reports accuracy and Keras' thresholded precision and recall (what the first
    notebook showed) beside the macro ones. An epoch's order and changes follow from ``(seed,
    epoch)`` alone, so a killed run goes on from its last whole epoch.
    """
    import keras

    keras.utils.set_random_seed(seed)
    state = read_state(run) if resume else None
    # a resumed run has its weights in the checkpoint
    set_precision(precision)
    model = recipe.build("none" if state is not None else weights)
    keras.mixed_precision.set_global_policy("float32")
    first, history = 0, []
    if state is not None:
        first = int(state["epochs_done"])
        history = read_history(run)[:first]
    weight_of = dict(enumerate(class_weights(training.labels).tolist()))
    feed = functools.partial(
        dataset, side=recipe.side, channels=recipe.channels, batch=recipe.batch
    )
    held = feed(validation)
    phase = -1
    for epoch in range(first, recipe.epochs):
        if recipe.phase_of(epoch) != phase:
            phase = recipe.phase_of(epoch)
            _compile(model, recipe, phase)
            if state is not None:
                same = recipe.phase_of(first - 1) == phase
                restore(state, model, optimizer=same)
                state = None
        keras.utils.set_random_seed(seed * 100_003 + epoch)
        started = time.monotonic()
        fitted = model.fit(
            feed(training, changes=recipe.changes, seed=seed * 100_003 + epoch),
            epochs=epoch + 1,
            initial_epoch=epoch,
            class_weight=weight_of,
            shuffle=False,  # the pipeline shuffles
            callbacks=[steps_callback(report, recipe, steps_of(training, recipe.batch), model)],
            verbose=0,
        ).history
        row = {
            "epoch": epoch + 1,
            "side": recipe.side,
            "rate": recipe.phases[phase].rate,
            "loss": float(fitted["loss"][-1]),
            "accuracy": float(fitted["accuracy"][-1]),
            "seconds": round(time.monotonic() - started, 1),
            **validate(model, held, validation),
        }
        history = [*history, row]
        save_state(run, model, epoch + 1)
        write_history(run, history)
        report({"event": "epoch", "epochs": recipe.epochs, **row})
    if state is not None:  # resumed after the last epoch: only the saving was cut off
        _compile(model, recipe, len(recipe.phases) - 1)
        restore(state, model)
    if all(layer.compute_dtype == "float32" for layer in model.layers):
        return model
    whole = recipe.build("none")
    whole.set_weights(model.get_weights())
    return whole


def _compile(model: Any, recipe: FitRecipe, phase: int) -> None:
    import keras

    for layer in model.layers:
        if layer.name == "backbone":
            layer.trainable = not recipe.phases[phase].frozen
            for part in layer.layers:
                # fine-tuning with small batches would spoil the statistics (Keras' own advice)
                if isinstance(part, keras.layers.BatchNormalization):
                    part.trainable = False
    model.compile(
        optimizer=keras.optimizers.Adam(recipe.phases[phase].rate),
        loss="categorical_crossentropy",
        metrics=[
            "accuracy",
            keras.metrics.Precision(name="precision"),
            keras.metrics.Recall(name="recall"),
        ],
    )


def validate(model: Any, held: Any, faces: LabelledFaces) -> dict[str, float]:
    """Keras' own three metrics on the validation pictures, and the macro ones beside them."""
    import keras

    answers = np.asarray(model.predict(held, verbose=0))
    macro = macro_scores(confusion_matrix(faces.labels, answers.argmax(axis=1)))
    wanted = one_hot(faces.labels)
    found = {
        "val_fer2013": keras.metrics.CategoricalAccuracy(),
        "val_loss": keras.metrics.CategoricalCrossentropy(),
        "val_precision_thresholded": keras.metrics.Precision(),
        "val_recall_thresholded": keras.metrics.Recall(),
    }
    for metric in found.values():
        metric.update_state(wanted, answers)
    return {name: float(metric.result()) for name, metric in found.items()} | {
        "val_precision_macro": float(macro.precision.mean()),
        "val_recall_macro": float(macro.recall.mean()),
    }


def steps_callback(
    report: Callable[[dict[str, Any]], None], recipe: FitRecipe, steps: int, model: Any
) -> Any:
    """A Keras callback that passes each step on to ``report``."""
    import keras

    class Steps(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch, self.started = epoch, time.monotonic()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            spent = time.monotonic() - self.started
            report(
                {
                    "event": "step",
                    "epoch": self.epoch + 1,
                    "epochs": recipe.epochs,
                    "step": batch + 1,
                    "steps": steps,
                    "rate": float(np.asarray(model.optimizer.learning_rate)),
                    "loss": float((logs or {}).get("loss", float("nan"))),
                    "epoch_seconds_left": spent / (batch + 1) * (steps - batch - 1),
                }
            )

    return Steps()
