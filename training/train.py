"""``python -m training.train --data DIR [--recipe NAME] [--ferplus CSV] [--resume] --out RUN``."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from training.data.archive import opened
from training.data.dataset import DatasetError, Fold, LabelledFaces
from training.data.lineage import check_same_split
from training.data.sources import prepare
from training.engines.distil import check_teacher
from training.engines.job import (
    DEVICES,
    ENGINES,
    PRECISIONS,
    UNFINISHED,
    Job,
    Recipe,
    engine_for,
    record,
    save_run,
    train,
)
from training.engines.progress import journal
from training.litert import quieten
from training.publish import Options, publish, summary
from training.recipes.classic import FIT_RECIPES
from training.recipes.recipes import MIEN_RECIPES, MienRecipe
from training.recipes.weights import WeightsError
from training.runs import HISTORY_FILE, RUN_FILE, TimeUp, tell_left_out
from webapp.errors import MienError
from webapp.files.text import forgiving_console
from webapp.models.wanted import check_name

KERAS_SEEDS = 42_000  # an epoch's seed is made of it, and has to fit into 32 bits
_CONTINUING = ", ".join(name for name, recipe in MIEN_RECIPES.items() if recipe.continues)


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
    return replace(fit, batch=batch or fit.batch)


def taught_share(recipe: MienRecipe, teachers: tuple[Path, ...], wanted: float | None) -> float:
    """The teachers' part of every target; 0 without teachers."""
    if not teachers:
        if wanted is not None:
            raise click.BadParameter("--teacher-share needs a --teacher.")
        return 0.0
    return recipe.teacher_share if wanted is None else wanted


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    help="A folder per emotion, a Kaggle layout with train/, an archive of either, or fer2013.csv.",
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
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option(
    "--split-seed",
    type=click.IntRange(min=0),
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
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="A version (folder) to learn from beside the labels, or what one answered (a file of "
    "training.teach); may be given again.",
)
@click.option("--teacher-share", type=click.FloatRange(0, 1), help="Its part of every target.")
@click.option(
    "--strength",
    type=click.FloatRange(0, 4),
    help="All recipes but seed and efficientnetb2: of the changes to training pictures; 1 is the "
    "recipe's.",
)
@click.option(
    "--weights",
    help="What a recipe begins with: a file or none; efficientnet...: imagenet is the default.",
)
@click.option("--publish", "name", help="Publish as this version when done.")
@click.option("--models-dir", type=click.Path(path_type=Path), default="models", show_default=True)
@click.option(
    "--device",
    type=click.Choice(DEVICES),
    default="auto",
    show_default=True,
    help="Of the torch engine; auto takes a GPU where torch sees one.",
)
@click.option(
    "--augment",
    type=click.Choice(("auto", "cpu", "device")),
    default="auto",
    show_default=True,
    help="Where training pictures are changed; auto: on the device, where it is a GPU.",
)
@click.option("--compile", "compiled", is_flag=True, help="Through torch.compile (torch engine).")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Stop before an epoch that would not fit; exit status 75. Go on with --resume.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=os.cpu_count() or 1,
    show_default=True,
    help="Of the torch engine.",
)
def main(
    data: Path, recipe_name: str, ferplus: Path | None, run: Path, resume: bool,
    epochs: int | None, batch: int | None, seed: int, split_seed: int | None,
    fold_text: str | None, engine: str, precision: str,
    start: Path | None, teachers: tuple[Path, ...], teacher_share: float | None,
    strength: float | None, device: str, augment: str, compiled: bool, minutes: float | None,
    weights: str | None, name: str | None, models_dir: Path, threads: int,
) -> None:  # fmt: skip
    """Train a model from labelled faces."""
    forgiving_console()
    quieten()
    recipe = recipe_named(recipe_name, epochs, batch)
    engine = engine_for(recipe, engine)
    if recipe_name.startswith("efficientnet"):
        weights = weights or "imagenet"
    elif weights is not None and recipe_name != "mobilenet-faces":
        raise click.BadParameter(
            "Only the recipes efficientnet... and mobilenet-faces begin with --weights."
        )
    if engine == "keras" and seed > KERAS_SEEDS:
        raise click.BadParameter(f"--seed of the Keras engine is at most {KERAS_SEEDS}.")
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
    if engine != "torch" and (compiled or minutes or device == "cuda" or augment == "device"):
        raise click.BadParameter(
            "--device, --augment, --compile and --minutes are of the torch engine; Keras chooses "
            "its device itself."
        )
    job = Job(
        run, recipe, engine, seed, resume, threads, precision, weights, start, teachers,
        device, compiled, augment, minutes,
    )  # fmt: skip
    if run.exists() and not run.is_dir():
        raise click.ClickException(f"Expected a folder for the run. --out {run} is a file.")
    begun = (run / RUN_FILE).exists()
    if begun and not resume:
        raise click.ClickException(f"{run} holds a run already; add --resume or name another.")
    if name is not None and (models_dir / name).exists():
        raise click.ClickException(f"{models_dir / name} exists; choose another --publish name.")
    try:
        if name is not None:
            check_name(name)
        with opened(data) as source:
            split = seed if split_seed is None else split_seed
            fold = Fold.parse(fold_text) if fold_text else None
            ready = prepare(source, ferplus, recipe.validation, split, fold)
            held_back = (ready.facts["fingerprint"], split, ready.facts.get("fold"))
            for teacher in teachers:
                check_teacher(teacher, *held_back)
            if start is not None:
                check_same_split(start, *held_back)
            run.mkdir(parents=True, exist_ok=True)
            record(job, recipe_name, ready.facts, ferplus)
            _print_sizes(ready.training, ready.validation, ready.facts)
            with journal(run) as report:
                model = train(job, ready.training, ready.validation, report)
            save_run(run, model, ready.validation)
            if name is not None:
                options = Options(name, models_dir, source, ferplus)
                click.echo(summary(publish(run, options)))
                return
    except KeyboardInterrupt:
        click.echo(
            "\nStopped. The last whole epoch is kept; go on with --resume."
            if _kept_or_forgotten(run, begun)
            else "\nStopped before an epoch was whole; nothing is kept."
        )
        sys.exit(130)
    except TimeUp as reached:
        click.echo(f"\nThe time is up: {reached}. Go on with --resume.")
        sys.exit(UNFINISHED)
    except (DatasetError, WeightsError, MienError) as error:
        _kept_or_forgotten(run, begun)
        raise click.ClickException(str(error)) from error
    except OSError as error:
        kept = " What was written before is whole; go on with --resume."
        raise click.ClickException(
            f"{error}.{kept if (run / RUN_FILE).exists() else ''}"
        ) from error
    click.echo(f"Trained. Publish with: python -m training.publish {run} --name NAME")


def _kept_or_forgotten(run: Path, begun: bool) -> bool:
    """Whether an epoch is whole. Without one, a run that was not ``begun`` before leaves none."""
    kept = (run / HISTORY_FILE).exists()
    if not kept and not begun:
        (run / RUN_FILE).unlink(missing_ok=True)
    return kept


def _print_sizes(training: LabelledFaces, held: LabelledFaces, facts: dict[str, Any]) -> None:
    click.echo(f"{len(training)} pictures to train on, {len(held)} to validate on.")
    click.echo(", ".join(f"{name} {count}" for name, count in training.class_counts.items()))
    dropped = facts["copies_of_test_dropped"] + facts.get("copies_of_validation_dropped", 0)
    if dropped:
        click.echo(f"{dropped} exact copies of held-out pictures were dropped from training.")
    tell_left_out(facts["unreadable"])


if __name__ == "__main__":
    main()
