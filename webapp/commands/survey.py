"""``python -m webapp.cli survey DIR --out DIR``: the report of a folder without a server.

The same catalog, job runner, workers and report as in the server, over a database in the output
folder: an interrupted run goes on where it stopped when the command is given again.
"""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from pathlib import Path

import click

from webapp.database.store import Store
from webapp.database.survey_tables import Job
from webapp.errors import Conflict, MienError, PayloadTooLarge
from webapp.files.below import files_below
from webapp.files.kinds import is_system_file
from webapp.files.storage import remove_tree
from webapp.files.text import printable
from webapp.settings import Settings
from webapp.survey.analysis.progress import Progress
from webapp.survey.analysis.runner import JobRunner
from webapp.survey.catalog import Catalog, NewSurvey
from webapp.survey.intake.uploads import Uploads
from webapp.survey.people import People
from webapp.survey.purposes import PURPOSES
from webapp.survey.report.build import build
from webapp.survey.report.exports import FORMATS
from webapp.survey.report.facts import model_facts
from webapp.survey.respondents import RULES, Respondent, read_mapping

STATE = ".mien-survey"
MARK = "survey.json"


def group_of(file: Path, root: Path) -> str:
    """The first folder below ``root`` is the group; files right in it share one.

    Empty for what lies right in ``root``: a ZIP there brings its groups.
    """
    parts = file.relative_to(root).parts
    return printable(parts[0]).replace("\\", "_") if len(parts) > 1 else ""


@click.command()
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True)
@click.option("--name", default=None, help="Title of the report; the folder's name by default.")
@click.option(
    "--purpose",
    type=click.Choice([purpose.key for purpose in PURPOSES]),
    default="product",
    show_default=True,
)
@click.option("--purpose-text", default="", help="What it is for, in words.")
@click.option("--consent", is_flag=True, help="Everybody in the pictures agreed to this analysis.")
@click.option("--respondents", type=click.Choice(RULES), default="none", show_default=True)
@click.option("--pattern", default="", help="For --respondents pattern, e.g. {respondent}_*.jpg")
@click.option(
    "--respondents-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV with the columns file and respondent; other columns become segments.",
)
@click.option("--several-faces", type=click.Choice(["exclude", "largest"]), default="exclude")
@click.option("--video-fps", type=float, default=2.0, show_default=True)
@click.option("--workers", type=int, default=0, help="Worker processes; 0 means one for each core.")
def survey(
    folder: Path,
    out: Path,
    name: str | None,
    purpose: str,
    purpose_text: str,
    consent: bool,
    respondents: str,
    pattern: str,
    respondents_file: Path | None,
    several_faces: str,
    video_fps: float,
    workers: int,
) -> None:
    """Analyse the pictures and videos below FOLDER, or in one ZIP; each folder in it is a group.

    Writes report.html, report.json, report.xlsx, faces.csv and pictures.csv to --out. The
    pictures themselves stay where they are and are not kept in --out.
    """
    settings = Settings.from_environment(
        instance_dir=str(out / STATE), workers=workers or os.cpu_count() or 1
    )
    # read first: a table that cannot be used ends the command before anything else is done
    mapping = read_mapping(respondents_file.read_bytes()) if respondents_file else {}
    store = Store(f"sqlite:///{(out / STATE / 'mien.db').resolve()}")
    try:
        store.migrate()
        catalog = Catalog(store, settings.instance_path)
        new = NewSurvey(
            name=name or folder.resolve().stem,
            purpose=purpose,
            purpose_text=purpose_text,
            consent=consent,
            groups=_groups(folder),
            several_faces=several_faces,
            respondent_rule=respondents,
            respondent_pattern=pattern,
            video_fps=video_fps,
        )
        survey_id = _survey(catalog, out, new)
        _take(folder, survey_id, Uploads(catalog, settings))
        if mapping:
            _name(catalog.store, survey_id, mapping)
        report = _analyse(survey_id, catalog, settings)
        for name, _ in FORMATS.values():
            (report / name).replace(out / name)
    finally:
        store.close()
    remove_tree(out / STATE)
    click.echo(f"{out / 'report.html'}")


def _groups(folder: Path) -> list[str]:
    """Folders with something to read in them; what systems leave behind is no group."""
    if folder.is_file():
        return []  # a ZIP brings its own
    return sorted(
        printable(path.name).replace("\\", "_")
        for path in folder.iterdir()
        if path.is_dir() and not is_system_file(f"{path.name}/x")
    )


def _survey(catalog: Catalog, out: Path, new: NewSurvey) -> str:
    """The survey of an interrupted run, or a new one."""
    mark = out / STATE / MARK
    if mark.is_file():
        return str(json.loads(mark.read_text(encoding="utf-8"))["survey"])
    made = catalog.create(new)
    mark.write_text(json.dumps({"survey": made.id}), encoding="utf-8")
    return made.id


def _take(folder: Path, survey_id: str, uploads: Uploads) -> None:
    """Give every file below ``folder`` to the survey; one that cannot be read costs nothing else.

    ``folder`` may be a single file, such as a ZIP. Names that are not UTF-8 are escaped.
    """
    root = folder if folder.is_dir() else folder.parent
    found = files_below(folder) if folder.is_dir() else [folder]
    files = [path for path in found if not is_system_file(path.relative_to(root).as_posix())]
    skipped = len(found) - len(files)
    with click.progressbar(files, label="Reading files", show_pos=True) as listed:
        for path in listed:
            # a backslash would part folders where a name is taken from another system
            name = printable(path.relative_to(root).as_posix()).replace("\\", "_")
            group = group_of(path, root)
            try:
                with path.open("rb") as source:
                    skipped += uploads.receive(survey_id, group, name, source).skipped
            except OSError as error:
                reason = f"it cannot be opened: {error.strerror}"
                uploads.refuse(survey_id, group, name, reason)
            except (PayloadTooLarge, Conflict) as error:
                raise click.ClickException(f"{name}: {error.message}") from error
            except MienError as error:
                uploads.refuse(survey_id, "", name[-900:], error.message)
    if skipped:
        click.echo(f"{skipped} files that operating systems left behind were skipped.")


def _name(store: Store, survey_id: str, mapping: dict[str, Respondent]) -> None:
    """Give the files the respondents of a table, and say which rows name no file."""
    named = People(store).map(survey_id, mapping)
    click.echo(f"{named.matched} files have a respondent.")
    if named.unmatched:
        shown = ", ".join(named.unmatched[:5])
        more = f" and {len(named.unmatched) - 5} more" if len(named.unmatched) > 5 else ""
        click.echo(f"{len(named.unmatched)} rows name no file: {shown}{more}")


def _analyse(survey_id: str, catalog: Catalog, settings: Settings) -> Path:
    from webapp.inference.client import InferenceService
    from webapp.models.registry import Registry

    active = Registry(settings.models_path).active()
    service = InferenceService(settings, active.folder)
    made: list[Path] = []
    ended: list[Progress] = []

    def report(job: Job) -> None:
        made.append(build(catalog.store, settings.instance_path, job.id, settings))

    with click.progressbar(length=1, label="Analysing   ", show_pos=True) as bar:

        def listen(progress: Progress) -> None:
            bar.length = max(1, progress.total)
            bar.update(progress.done - bar.pos)
            ended.append(progress)

        runner = JobRunner(catalog, settings, lambda _version: nullcontext(service), report, listen)
        service.start()
        try:
            if not runner.run_one():
                runner.jobs.start(survey_id, model_facts(active.card))
                runner.run_one()
        finally:
            service.stop()
    if not made:
        raise click.ClickException(ended[-1].error or "The analysis did not end.")
    return made[-1]
