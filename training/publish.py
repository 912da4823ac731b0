"""``python -m training.publish RUN --name NAME``: a finished run becomes ``models/NAME/``.

A version is written beside its place and renamed into it, so that it is there whole or not at
all. What the card says is measured on the very files that are published.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

import click

from training.data.archive import opened
from training.data.dataset import DatasetError
from training.evaluation.answers import answer, describe
from training.evaluation.scoring import input_spec_of, open_version
from training.litert import FloatArray, quieten
from training.publishing.card_facts import (
    INTENDED_USE,
    LICENCE,
    LIMITS,
    calibrated,
    data_facts,
    training_facts,
)
from training.publishing.compiled import VIEWS, WEIGHTS, Compiled, compile_model
from training.publishing.crossfit import SOURCE as OUT_OF_FOLD
from training.publishing.crossfit import accuracy_on_seen, parts_of, read_out_of_fold
from training.publishing.finished import (
    METRICS_FILE,
    FinishedRun,
    check_metrics,
    read_run,
)
from training.publishing.heldback import check_same_model, read_data
from training.publishing.members import Member, average_members, open_member, open_run
from webapp.card import GOLDEN_TOLERANCE, CropSpec, ModelCard
from webapp.errors import Conflict, MienError, ModelInvalid, NotFound
from webapp.files.text import forgiving_console
from webapp.models.registry import Registry
from webapp.models.wanted import check_name

_STAGING = ".publishing-"


@dataclass(frozen=True)
class Options:
    """What publishing is asked for.

    ``data`` is the folder that training read: its validation pictures are measured again with
    the published files, and its ``test/``, where there is one, gives the card's test figures.
    """

    name: str
    models_dir: Path = Path("models")
    data: Path | None = None
    ferplus: Path | None = None
    views: str = "one"
    members: tuple[Path, ...] = ()
    soup: tuple[Path, ...] = ()
    weights: str = "auto"
    serving_head: str | None = None
    crop: CropSpec = field(default_factory=CropSpec)
    activate: bool = False


def publish(run_folder: Path, options: Options) -> Path:
    """Write ``models_dir/name`` and return it; activate it where no version is active yet.

    Raises :class:`ModelInvalid` where the card would lie, :class:`Conflict` where the version
    exists, :class:`InvalidRequest` for a name that none can have, DatasetError and OSError.
    Nothing is left behind then.
    """
    check_name(options.name)
    run = read_run(run_folder)
    beside = run_folder / METRICS_FILE
    run_metrics = check_metrics(beside, run) if beside.is_file() else None
    target = options.models_dir / options.name
    if target.exists():
        raise Conflict(f"{target} exists: a version never changes. Choose another --name.")
    draft = _draft(run, options)
    data = read_data(options.data, options.ferplus) if options.data is not None else None
    if data is None and (options.views != "one" or options.members or options.soup):
        raise ModelInvalid(
            "Averaging changes the logits, so those of the run do not fit: "
            "give the training data with --data."
        )
    first = open_run(run)
    members = [open_member(folder, run) for folder in options.members]
    soup = [open_member(folder, run, other_folds=True) for folder in options.soup]
    parts = parts_of(first, soup)
    if parts and members:
        raise ModelInvalid("Cross-fitted runs are published as one soup: leave out --with.")
    if data is not None:
        for member in (first, *members, *soup):
            if member.run is not None:
                check_same_model(member.run, member.model, data.held_by(member.run))

    def compiled_soup(base: Member, others: Sequence[Member]) -> Compiled:
        return compile_model(
            average_members(base, others) if others else base.model,
            members=[member.model for member in members],
            views=options.views,
            weights=options.weights,
        )

    def read(base: Member, others: Sequence[Member]) -> Mapping[str, FloatArray]:
        """What such a soup answers in the published form, for what ``base`` held back."""
        if data is None or base.run is None:
            raise ModelInvalid("Only pictures of --data can be read, and only a run's.")
        form = compiled_soup(base, others)
        with tempfile.TemporaryDirectory() as scratch:
            card = _on_files(draft, form, form.write(Path(scratch)), options)
            return open_version(Path(scratch), card).logits(data.held_by(base.run).images)

    held = read_out_of_fold(parts, read) if parts else run
    compiled = compiled_soup(first, soup)
    with _staging(options.models_dir) as folder:
        card = _on_files(draft, compiled, compiled.write(folder), options)
        facts = training_facts(run, compiled, members, soup)
        if parts and data is not None:
            card = calibrated(card, held, held.logits, OUT_OF_FOLD)
            whole = open_version(folder, card).logits(data.held_by(held).images)
            facts["accuracy_on_seen"] = accuracy_on_seen(held, whole)
        elif data is None:
            card = calibrated(card, run, run.logits, "the run's model before rounding")
        else:
            logits = open_version(folder, card).logits(data.held_by(run).images)
            card = calibrated(card, run, logits, "the published files")
        metrics = dict(card.metrics)
        test = data.test if data is not None else None
        if test is not None:
            scorer = open_version(folder, card)
            metrics["test"] = describe(scorer, answer(scorer, test))
        if run_metrics is not None:
            metrics["run_model"] = run_metrics
        card = replace(
            card,
            metrics=metrics,
            data=data_facts(held, test, options.ferplus),
            training=facts,
        )
        card.save(folder)
        make_durable(folder)
        folder.rename(target)
    _activate(options)
    return target


def _draft(run: FinishedRun, options: Options) -> ModelCard:
    """The card's beginning; a crop that cannot be is refused before any work."""
    return ModelCard(
        options.name,
        str(run.facts["recipe"]),
        datetime.now(timezone.utc).isoformat(timespec="seconds"),
        crop=options.crop,
        intended_use=INTENDED_USE,
        limits=LIMITS,
        licence=LICENCE,
    )


def _on_files(
    draft: ModelCard, compiled: Compiled, files: dict[str, str], options: Options
) -> ModelCard:
    names = [head.name for head in compiled.heads]
    serving = options.serving_head or ("ferplus" if "ferplus" in names else names[0])
    return replace(
        draft,
        input=input_spec_of(compiled.model),
        heads=compiled.heads,
        serving_head=serving,
        files=files,
        golden_tolerance=golden_tolerance(compiled),
    )


def golden_tolerance(compiled: Compiled) -> float:
    """How far a version's logits may be from its golden ones when it is loaded somewhere.

    Twice what int8 rounding costs here: another processor rounds a few values the other way.
    """
    if compiled.int8 is None:
        return GOLDEN_TOLERANCE
    return max(GOLDEN_TOLERANCE, round(2 * compiled.int8.logits, 4))


@contextlib.contextmanager
def _staging(models_dir: Path) -> Iterator[Path]:
    """A folder beside the versions that vanishes unless it was renamed away."""
    models_dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=_STAGING, dir=models_dir))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_durable(folder: Path) -> None:
    """Readable for who serves, and on the disk before the rename makes it a version."""
    for path in folder.iterdir():
        path.chmod(0o644)
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _activate(options: Options) -> None:
    registry = Registry(options.models_dir)
    if not options.activate:
        try:
            registry.active()
        except NotFound:
            pass
        else:
            return
    registry.activate(options.name)


def summary(folder: Path) -> str:
    """What was published, in a few lines."""
    card = ModelCard.load(folder)
    sizes = ", ".join(
        f"{file} {(folder / file).stat().st_size / 1e6:.1f} MB" for file in card.files
    )
    difference = card.training["published"]["litert_difference"]["probabilities"]
    lines = [f"{folder}: {sizes}; LiteRT within {difference:.1e} of Keras."]
    validation, test = card.metrics["validation"], card.metrics.get("test", {})
    found = {f"validation {name}": validation.get(name) for name in ("fer2013", "ferplus")}
    found |= {"test fer2013": test or None, "test ferplus": test.get("ferplus")}
    lines += [
        f"{name}: accuracy {scores['accuracy']:.4f}, ECE {scores['ece']:.4f}"
        for name, scores in found.items()
        if scores
    ]
    return "\n".join(lines)


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="The version; becomes the folder's name.")
@click.option("--models-dir", type=click.Path(path_type=Path), default="models", show_default=True)
@click.option("--data", type=click.Path(path_type=Path), help="What training read, with test/.")
@click.option("--ferplus", type=click.Path(path_type=Path), help="FER+ votes (CSV).")
@click.option(
    "--with",
    "members",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    multiple=True,
    help="A run or version (folder) whose logits are averaged in: an ensemble.",
)
@click.option(
    "--soup",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    multiple=True,
    help="A related run or version whose weights are averaged with RUN's: no slower than one. "
    "It may hold back another --fold.",
)
@click.option(
    "--views",
    type=click.Choice(VIEWS),
    default="one",
    show_default=True,
    help="What each network sees: the picture, that and its mirror, or one of them in turn.",
)
@click.option("--weights", type=click.Choice(WEIGHTS), default="auto", show_default=True)
@click.option("--serving-head", help="The head that the app shows; ferplus where there is one.")
@click.option("--crop-scale", default=CropSpec().scale, show_default=True)
@click.option("--crop-shift-up", default=CropSpec().shift_up, show_default=True)
@click.option("--activate", is_flag=True, help="Let it serve even where another does.")
def main(
    run: Path, name: str, models_dir: Path, data: Path | None, ferplus: Path | None,
    members: tuple[Path, ...], soup: tuple[Path, ...], views: str, weights: str,
    serving_head: str | None, crop_scale: float, crop_shift_up: float, activate: bool,
) -> None:  # fmt: skip
    """Make a model version of a finished RUN."""
    forgiving_console()
    quieten()
    crop = CropSpec(crop_scale, crop_shift_up)
    options = Options(
        name,
        models_dir,
        data,
        ferplus,
        views,
        members,
        soup,
        weights,
        serving_head,
        crop,
        activate,
    )
    try:
        with contextlib.ExitStack() as stack:
            if data is not None:
                options = replace(options, data=stack.enter_context(opened(data)))
            click.echo(summary(publish(run, options)))
    except (DatasetError, MienError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"Nothing was published: {error}") from error


if __name__ == "__main__":
    main()
