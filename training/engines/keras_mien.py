"""Train the recipe ``mien`` with Keras, on TensorFlow, JAX or torch; mixed precision on a GPU.

The same batches, losses, schedule and averaging as the native torch engine, which is faster on
CPUs. The average is taken every :data:`AVERAGE_EVERY` steps, so that it costs nothing on a GPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from training.data.augment import resize_batch
from training.data.dataset import LabelledFaces
from training.engines.batches import epoch_batches, in_background
from training.engines.checkpoints import mean_of, read_state, restore, save_state
from training.engines.distil import Taught
from training.engines.held_back import scores_of
from training.engines.precision import has_gpu, set_precision
from training.litert import FloatArray, keras_logits
from training.recipes.networks import HEADS
from training.recipes.recipes import MienRecipe, build_network
from training.runs import read_history, write_history
from webapp.errors import MienError

AVERAGE_EVERY = 8


def _compiled(recipe: MienRecipe) -> Any:
    import keras

    # any side, so that one network sees every resolution
    model = build_network(recipe.network, side=None)
    for variable in model.trainable_variables:
        if len(variable.shape) > 1:
            # L2 in the loss and not the optimizer's own decay: this is what torch's SGD does
            variable.regularizer = keras.regularizers.L2(recipe.weight_decay / 2)
    model.compile(
        optimizer=keras.optimizers.SGD(recipe.peak, momentum=recipe.momentum, nesterov=True),
        loss={head: keras.losses.CategoricalCrossentropy(from_logits=True) for head in HEADS},
        loss_weights={"fer2013": 1.0, "ferplus": recipe.ferplus_weight},
        # compiling for each side pays on a GPU only
        jit_compile="auto" if has_gpu() else False,
    )
    return model


def train_keras_mien(
    run: Path,
    recipe: MienRecipe,
    training: LabelledFaces,
    validation: LabelledFaces,
    *,
    seed: int,
    resume: bool,
    report: Callable[[dict[str, Any]], None],
    precision: str = "auto",
    answers: Taught | None = None,
) -> Any:
    """Train and return the averaged network, float32, for 48x48 pictures.

    ``report`` gets the same news as from ``torch_loop.train_mien``. Writes ``checkpoint.npz`` and
    ``history.jsonl`` into ``run``.
    """
    import keras

    keras.utils.set_random_seed(seed)
    set_precision(precision)
    model = _compiled(recipe)
    keras.mixed_precision.set_global_policy("float32")
    served = build_network(recipe.network, side=recipe.serving_side)
    held: FloatArray = resize_batch(validation.images, recipe.serving_side)[..., None]
    per_epoch = max(1, len(training) // recipe.batch)
    steps = per_epoch * recipe.epochs
    mean = model.get_weights()
    first, history = 0, []
    state = read_state(run) if resume else None
    if state is not None:
        restore(state, model)
        mean, first = mean_of(state), int(state["epochs_done"])
        history = read_history(run)[:first]
    for epoch in range(first, recipe.epochs):
        keras.utils.set_random_seed(seed * 100_003 + epoch)
        started, losses = time.monotonic(), []
        batches = in_background(epoch_batches(training, recipe, epoch, seed, answers))
        for number, batch in enumerate(batches):
            step = epoch * per_epoch + number
            rate = recipe.rate_of(step, steps)
            model.optimizer.learning_rate = rate
            value = model.train_on_batch(
                batch.pictures[..., None],
                {"fer2013": batch.fer2013, "ferplus": batch.ferplus},
                sample_weight={
                    "fer2013": batch.fer2013_weight,
                    "ferplus": batch.ferplus_weight,
                },
                return_dict=True,
            )["loss"]
            value = float(value)
            if not np.isfinite(value):
                raise MienError(
                    f"Expected a finite loss. Received {value} at step {step}: the training went "
                    "astray. Try a larger --batch, another --seed or a weaker --strength."
                )
            model.reset_metrics()
            losses.append(value)
            if (step + 1) % AVERAGE_EVERY == 0 or step + 1 == steps:
                decay = min(recipe.averaging, (1 + step) / (10 + step)) ** AVERAGE_EVERY
                fresh = model.get_weights()
                mean = [k * decay + f * (1 - decay) for k, f in zip(mean, fresh, strict=True)]
            spent = time.monotonic() - started
            left = spent / (number + 1) * (per_epoch - number - 1)
            report({"event": "step", "epoch": epoch + 1, "epochs": recipe.epochs,
                    "step": number + 1, "steps": per_epoch, "rate": rate, "loss": value,
                    "epoch_seconds_left": left})  # fmt: skip
        served.set_weights(_matching(mean, served))
        row = {
            "epoch": epoch + 1,
            "side": recipe.side_of(epoch),
            "rate": rate,
            "loss": float(np.mean(losses)),
            "seconds": round(time.monotonic() - started, 1),
            **scores_of(keras_logits(served, held), validation),
        }
        history = [*history, row]
        save_state(run, model, epoch + 1, mean)
        write_history(run, history)
        report({"event": "epoch", "epochs": recipe.epochs, **row})
    served.set_weights(_matching(mean, served))
    return served


def _matching(mean: list[Any], served: Any) -> list[Any]:
    """The averaged weights in the types of the served model (random states stay integers)."""
    return [
        np.asarray(values, np.asarray(own).dtype)
        for values, own in zip(mean, served.get_weights(), strict=True)
    ]
