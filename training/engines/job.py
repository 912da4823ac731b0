"""One training: what was asked, the engine that does it, and what the run's folder records."""

from __future__ import annotations

import importlib.util
import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click
import numpy as np

from training.data.augment import resize_batch
from training.data.dataset import LabelledFaces
from training.data.lineage import version_facts
from training.engines.distil import taught, teacher_facts
from training.litert import keras_logits
from training.recipes.classic import FitRecipe
from training.recipes.networks import MienSpec
from training.recipes.recipes import MienRecipe, build_network
from training.runs import (
    RUN_FILE,
    VALIDATION_FILE,
    read_json,
    save_through,
    write_json,
)
from webapp.card import InputSpec, sha256_of
from webapp.domain import EMOTIONS
from webapp.files.atomic import replacing
from webapp.vision.crops import to_batch

MODEL_FILE = "model.keras"
DEVICES = ("auto", "cpu", "cuda")
UNFINISHED = 75
ENGINES = ("auto", "torch", "keras")
PRECISIONS = ("auto", "float32", "mixed_float16", "mixed_bfloat16")
_MUST_MATCH = ("recipe", "parameters", "seed", "engine", "started_from", "teachers")
_SAME_DATA = {
    "fingerprint": "set of training pictures in --data",
    "validation_fingerprint": "set of validation pictures in --data",
    "copies_of_test_dropped": "set of test pictures in --data",
    "ferplus_sha256": "file of FER+ votes (--ferplus)",
    "split_seed": "--split-seed",
    "fold": "--fold",
}

Recipe = MienRecipe | FitRecipe
Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Job:
    """One training: everything but the pictures."""

    run: Path
    recipe: Recipe
    engine: str
    seed: int
    resume: bool
    threads: int
    precision: str = "auto"
    weights: str | None = None
    start: Path | None = None
    teachers: tuple[Path, ...] = ()
    device: str = "cpu"
    compiled: bool = False
    augment: str = "auto"
    minutes: float | None = None


def engine_for(recipe: Recipe, wanted: str) -> str:
    """``torch`` where it is installed and the recipe has a native version, else ``keras``."""
    has_torch = importlib.util.find_spec("torch") is not None
    native = isinstance(recipe, MienRecipe)
    if isinstance(recipe, MienRecipe) and not isinstance(recipe.network, MienSpec):
        if wanted == "keras" or not has_torch:
            raise click.BadParameter(
                "This recipe begins with pretrained weights and trains with torch only; see "
                "requirements-train.txt."
            )
        return "torch"
    if wanted == "auto":
        return "torch" if native and has_torch else "keras"
    if wanted == "torch" and not native:
        raise click.BadParameter("This recipe has no native torch engine; use keras.")
    if wanted == "torch" and not has_torch:
        raise click.BadParameter("torch is not installed; see requirements-train.txt.")
    return wanted


def train(job: Job, training: LabelledFaces, held: LabelledFaces, report: Report) -> Any:
    """Train and return the Keras model."""
    if isinstance(job.recipe, FitRecipe):
        from training.engines.keras_fit import train_fit

        return train_fit(
            job.run, job.recipe, training, held,
            seed=job.seed, resume=job.resume, report=report, weights=job.weights,
            precision=job.precision,
        )  # fmt: skip
    if job.engine == "keras":
        from training.engines.keras_mien import train_keras_mien

        return train_keras_mien(
            job.run, job.recipe, training, held,
            seed=job.seed, resume=job.resume, report=report, precision=job.precision,
            answers=taught(job.teachers, training),
        )  # fmt: skip
    return _train_natively(job, job.recipe, training, held, report)


def _train_natively(
    job: Job, recipe: MienRecipe, training: LabelledFaces, held: LabelledFaces, report: Report
) -> Any:
    """Train in torch, then copy the weights into Keras and check that both answer alike."""
    import torch

    from training.engines.torch_engine import copy_to_keras, predict_logits
    from training.engines.torch_lite import LiteTorch, load_imagenet
    from training.engines.torch_loop import Hardware, train_mien
    from training.engines.torch_mobilenet import MobileNetTorch, load_faces
    from training.engines.warm_start import load_into, read_start

    torch.set_num_threads(job.threads)

    def begin(network: Any) -> None:
        if isinstance(network, LiteTorch):
            load_imagenet(network, job.weights or "imagenet")
        elif isinstance(network, MobileNetTorch):
            load_faces(network, job.weights, resize_batch(training.images, recipe.serving_side))
        elif job.start is not None:
            data = read_json(job.run / RUN_FILE)["data"]
            held = data["fingerprint"], data["split_seed"], data.get("fold")
            load_into(network, read_start(job.start, *held), training.images, recipe.serving_side)

    there = None if job.augment == "auto" else job.augment == "device"
    network = train_mien(
        job.run, recipe, training, held,
        seed=job.seed, resume=job.resume, report=report, begin=begin,
        answers=taught(job.teachers, training),
        hardware=Hardware(job.device, there, job.compiled, job.minutes),
    )  # fmt: skip
    model = build_network(recipe.network, side=recipe.serving_side)
    copy_to_keras(network, model)
    sample = resize_batch(held.images[:64], recipe.serving_side)
    native, copied = predict_logits(network, sample), keras_logits(model, sample[..., None])
    for head, logits in native.items():
        difference = float(np.abs(logits - copied[head]).max())
        # of its size: a network that has hardly learnt may answer logits in the thousands
        if not difference <= 1e-3 * max(1.0, float(np.abs(logits).max())):
            raise RuntimeError(f"Keras and torch differ by {difference} in {head}; nothing saved.")
    return model


def save_run(run: Path, model: Any, validation: LabelledFaces) -> None:
    """Write ``model.keras``, the validation outputs of that very model, and its hash."""
    save_through(run / MODEL_FILE, model.save)
    _, height, width, channels = model.input_shape
    spec = InputSpec(height, width, channels)
    parts = [
        keras_logits(model, to_batch(list(validation.images[start : start + 256]), spec))
        for start in range(0, len(validation), 256)
    ]
    arrays: dict[str, Any] = {
        "names": np.array(validation.names),
        "labels": validation.labels,
        "votes": validation.votes,
    }
    for head in parts[0]:
        values = np.concatenate([part[head] for part in parts]).astype(np.float32)
        if values.min() >= 0 and np.allclose(values.sum(axis=1), 1, atol=1e-3):
            values = np.log(np.maximum(values, 1e-7))  # a softmax head: its logits
        arrays[f"logits_{head}"] = values
    with replacing(run / VALIDATION_FILE) as stream:
        np.savez_compressed(stream, **arrays)
    facts = read_json(run / RUN_FILE)
    write_json(run / RUN_FILE, facts | {"model_sha256": sha256_of(run / MODEL_FILE)})


def record(job: Job, name: str, facts: dict[str, Any], ferplus: Path | None) -> None:
    """Write ``run.json``, or check that a resumed run is the one that was begun.

    Raises :class:`click.ClickException` where it is not.
    """
    new = {
        "recipe": name,
        "parameters": job.recipe.to_json(),
        "seed": job.seed,
        "engine": job.engine,
        "started_from": version_facts(job.start) if job.start else None,
        "teachers": [teacher_facts(path) for path in job.teachers] or None,
        "data": facts,
        "ferplus": ferplus is not None,
        "ferplus_sha256": sha256_of(ferplus) if ferplus else None,
        "emotions": list(EMOTIONS),
        "versions": _versions(job),
    }
    path = job.run / RUN_FILE
    if not path.exists():
        write_json(path, new)
        return
    old = read_json(path)
    fresh = json.loads(json.dumps(new))  # as it reads back: tuples are lists there
    for key in _MUST_MATCH:
        if old.get(key) != fresh[key]:
            raise click.ClickException(
                f"{job.run} was begun with another {key}: {_short(old.get(key))}. Received "
                f"{_short(fresh[key])}. Resume with the same options, or name another --out."
            )
    begun = old.get("data", {}) | {"ferplus_sha256": old.get("ferplus_sha256")}
    received = facts | {"ferplus_sha256": fresh["ferplus_sha256"]}
    for key, what in _SAME_DATA.items():
        if begun.get(key) != received.get(key):
            raise click.ClickException(
                f"{job.run} was begun with another {what}: {begun.get(key)}. Received "
                f"{received.get(key)}. Resume with the same, or name another --out."
            )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 200 else text[:200] + "..."


def _versions(job: Job) -> dict[str, str]:
    found = {"python": platform.python_version()}
    wanted = ["numpy", "keras", "opencv-python-headless"]
    wanted += ["torch"] if job.engine == "torch" else ["tensorflow", "jax", "torch"]
    for name in wanted:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    if job.engine == "keras":
        import keras

        found["keras_backend"] = keras.backend.backend()
    return found
