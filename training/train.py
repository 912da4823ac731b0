"""``python -m training.train --data DIR [--recipe NAME] [--ferplus CSV] [--resume] --out RUN``."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click
import numpy as np

from training.data.archive import opened
from training.data.augment import resize_batch
from training.data.dataset import DatasetError, Fold, LabelledFaces
from training.data.lineage import check_same_split, version_facts
from training.data.sources import prepare
from training.engines.distil import taught
from training.engines.progress import journal
from training.publish import Options, publish, summary
from training.publishing.litert import keras_logits, quieten
from training.recipes.classic import FIT_RECIPES, FitRecipe, WeightsError
from training.recipes.recipes import MIEN_RECIPES, MienRecipe
from training.runs import (
    HISTORY_FILE,
    RUN_FILE,
    VALIDATION_FILE,
    read_json,
    replacing,
    save_through,
    write_json,
)
from webapp.card import InputSpec, sha256_of
from webapp.domain import EMOTIONS
from webapp.errors import MienError
from webapp.vision.crops import to_batch

MODEL_FILE = "model.keras"
ENGINES = ("auto", "torch", "keras")
PRECISIONS = ("auto", "float32", "mixed_float16", "mixed_bfloat16")
_CONTINUING = ", ".join(name for name, recipe in MIEN_RECIPES.items() if recipe.continues)
_MUST_MATCH = ("recipe", "parameters", "seed", "engine", "started_from", "teachers")

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


def recipe_named(name: str, epochs: int | None, batch: int | None) -> Recipe:
    """A recipe, with another number of epochs or batch size where given."""
    if name in MIEN_RECIPES:
        recipe = MIEN_RECIPES[name]
        return replace(recipe, epochs=epochs or recipe.epochs, batch=batch or recipe.batch)
    if name not in FIT_RECIPES:
        raise click.BadParameter(
            f"Unknown recipe {name!r}; known: {', '.join(MIEN_RECIPES)}, "
            f"{', '.join(sorted(FIT_RECIPES))}."
        )
    fit = FIT_RECIPES[name]
    fit = fit.with_epochs(epochs) if epochs else fit
    return fit.with_batch(batch) if batch else fit


def taught_share(recipe: MienRecipe, teachers: tuple[Path, ...], wanted: float | None) -> float:
    """The teachers' part of every target; 0 without teachers."""
    if not teachers:
        if wanted is not None:
            raise click.BadParameter("--teacher-share needs a --teacher.")
        return 0.0
    return recipe.teacher_share if wanted is None else wanted


def engine_for(recipe: Recipe, wanted: str) -> str:
    """``torch`` where it is installed and the recipe has a native version, else ``keras``."""
    has_torch = importlib.util.find_spec("torch") is not None
    native = isinstance(recipe, MienRecipe)
    if wanted == "auto":
        return "torch" if native and has_torch else "keras"
    if wanted == "torch" and not native:
        raise click.BadParameter("Only the recipe mien has a native torch engine; use keras.")
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
    from training.engines.torch_loop import train_mien
    from training.engines.warm_start import read_start
    from training.recipes.networks import build_mien

    torch.set_num_threads(job.threads)
    start = None
    if job.start is not None:
        data = read_json(job.run / RUN_FILE)["data"]
        start = read_start(job.start, data["fingerprint"], data["split_seed"], data.get("fold"))
    network = train_mien(
        job.run, recipe, training, held,
        seed=job.seed, resume=job.resume, report=report, start=start,
        answers=taught(job.teachers, training),
    )  # fmt: skip
    model = build_mien(recipe.network, side=recipe.serving_side)
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
        "teachers": [version_facts(folder) for folder in job.teachers] or None,
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
    if not job.resume:
        raise click.ClickException(f"{job.run} holds a run already; add --resume or name another.")
    old = read_json(path)
    fresh = json.loads(json.dumps(new))  # as it reads back: tuples are lists there
    for key in _MUST_MATCH:
        if old.get(key) != fresh[key]:
            raise click.ClickException(
                f"{job.run} was begun with another {key}: {_short(old.get(key))}. Received "
                f"{_short(fresh[key])}. Resume with the same options, or name another --out."
            )
    begun = old.get("data", {})
    if begun.get("fingerprint") != facts["fingerprint"]:
        raise click.ClickException(f"{job.run} was begun on other pictures; name another --out.")
    if begun.get("split_seed") != facts["split_seed"]:
        raise click.ClickException(
            f"{job.run} was begun with another split: seed {begun.get('split_seed')}. Received "
            f"{facts['split_seed']}. Resume with the same --split-seed."
        )
    if begun.get("fold") != facts.get("fold"):
        raise click.ClickException(
            f"{job.run} was begun with another fold: {begun.get('fold')}. Received "
            f"{facts.get('fold')}. Resume with the same --fold."
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


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    help="A folder per emotion, a Kaggle layout with train/, or fer2013.csv.",
)
@click.option(
    "--recipe",
    "recipe_name",
    default="mien",
    show_default=True,
    help=f"{', '.join(MIEN_RECIPES)}, {' or '.join(sorted(FIT_RECIPES, reverse=True))}.",
)
@click.option("--ferplus", type=click.Path(path_type=Path), help="FER+ votes (CSV): soft labels.")
@click.option("--out", "run", type=click.Path(path_type=Path), required=True)
@click.option("--resume", is_flag=True, help="Go on from the last whole epoch of --out.")
@click.option("--epochs", type=click.IntRange(min=1), help="Instead of the recipe's number.")
@click.option("--batch", type=click.IntRange(min=2), help="Instead of the recipe's size.")
@click.option("--seed", default=1, show_default=True)
@click.option(
    "--split-seed",
    type=int,
    help="Of the validation split, where it is not --seed: another network, the same pictures.",
)
@click.option(
    "--fold",
    "fold_text",
    help="Hold back only this part of the validation split, like 1/2, and learn the others.",
)
@click.option("--engine", type=click.Choice(ENGINES), default="auto", show_default=True)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="auto",
    show_default=True,
    help="Of the Keras engine; auto is mixed on a GPU.",
)
@click.option(
    "--start-from",
    "start",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help=f"{_CONTINUING}: the version (folder) to go on from.",
)
@click.option(
    "--teacher",
    "teachers",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    multiple=True,
    help="A version (folder) to learn from beside the labels; may be given again.",
)
@click.option("--teacher-share", type=click.FloatRange(0, 1), help="Its part of every target.")
@click.option(
    "--strength",
    type=click.FloatRange(0, 4),
    help="Recipes mien...: of the changes to training pictures; 1 is the recipe's.",
)
@click.option("--weights", help="efficientnetb2: a file, none, or imagenet (the default).")
@click.option("--publish", "name", help="Publish as this version when done.")
@click.option("--models-dir", type=click.Path(path_type=Path), default="models", show_default=True)
@click.option("--threads", default=os.cpu_count() or 1, show_default=True)
def main(
    data: Path, recipe_name: str, ferplus: Path | None, run: Path, resume: bool,
    epochs: int | None, batch: int | None, seed: int, split_seed: int | None,
    fold_text: str | None, engine: str, precision: str,
    start: Path | None, teachers: tuple[Path, ...], teacher_share: float | None,
    strength: float | None,
    weights: str | None, name: str | None, models_dir: Path, threads: int,
) -> None:  # fmt: skip
    """Train a model from labelled faces."""
    quieten()
    recipe = recipe_named(recipe_name, epochs, batch)
    engine = engine_for(recipe, engine)
    weights = weights or ("imagenet" if recipe_name == "efficientnetb2" else None)
    if start is not None and engine != "torch":
        raise click.BadParameter("Only the torch engine can go on from a version.")
    if getattr(recipe, "continues", False) != (start is not None):
        raise click.BadParameter(
            f"--start-from goes together with one of the recipes {_CONTINUING}."
        )
    if isinstance(recipe, MienRecipe):
        recipe = replace(recipe, teacher_share=taught_share(recipe, teachers, teacher_share))
        if strength is not None:
            recipe = replace(recipe, augmentation=recipe.augmentation.times(strength))
    elif strength is not None:
        raise click.BadParameter(f"Only the recipes {', '.join(MIEN_RECIPES)} take a --strength.")
    elif teachers or teacher_share is not None:
        raise click.BadParameter(f"Only the recipes {', '.join(MIEN_RECIPES)} learn from teachers.")
    job = Job(run, recipe, engine, seed, resume, threads, precision, weights, start, teachers)
    if (run / RUN_FILE).exists() and not resume:
        raise click.ClickException(f"{run} holds a run already; add --resume or name another.")
    if name is not None and (models_dir / name).exists():
        raise click.ClickException(f"{models_dir / name} exists; choose another --publish name.")
    try:
        with opened(data) as source:
            split = seed if split_seed is None else split_seed
            fold = Fold.parse(fold_text) if fold_text else None
            ready = prepare(source, ferplus, recipe.validation, split, fold)
            for folder in (*teachers, *([start] if start else [])):
                check_same_split(folder, ready.facts["fingerprint"], split, ready.facts.get("fold"))
            run.mkdir(parents=True, exist_ok=True)
            record(job, recipe_name, ready.facts, ferplus)
            _tell(ready.training, ready.validation, ready.facts)
            with journal(run) as report:
                model = train(job, ready.training, ready.validation, report)
            save_run(run, model, ready.validation)
            if name is not None:
                options = Options(name, models_dir, source, ferplus)
                click.echo(summary(publish(run, options)))
                return
    except KeyboardInterrupt:
        click.echo("\nStopped. The last whole epoch is kept; go on with --resume.")
        sys.exit(130)
    except (DatasetError, WeightsError, MienError) as error:
        if not (run / HISTORY_FILE).exists():
            (run / RUN_FILE).unlink(missing_ok=True)  # nothing was trained: no run was begun
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(
            f"{error}. What was written before is whole; go on with --resume."
        ) from error
    click.echo(f"Trained. Publish with: python -m training.publish {run} --name NAME")


def _tell(training: LabelledFaces, held: LabelledFaces, facts: dict[str, Any]) -> None:
    click.echo(f"{len(training)} pictures to train on, {len(held)} to validate on.")
    click.echo(", ".join(f"{name} {count}" for name, count in training.class_counts.items()))
    dropped = facts["copies_of_test_dropped"] + facts.get("copies_of_validation_dropped", 0)
    if dropped:
        click.echo(f"{dropped} exact copies of held-out pictures were dropped from training.")
    unreadable = facts["unreadable"]
    if unreadable:
        click.echo(f"{len(unreadable)} files could not be read and were skipped:", err=True)
        for name in unreadable[:20]:
            click.echo(f"  {name}", err=True)
        if len(unreadable) > 20:
            click.echo("  ... all are listed in run.json", err=True)


if __name__ == "__main__":
    main()
