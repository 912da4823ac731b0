"""``python -m training.evaluate --model VERSION_OR_PATH --data DIR [--ferplus CSV] --json FILE``.

Each label set is scored with its own head; ``serving`` gives the head that the app shows on both.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from training.data.archive import opened
from training.data.dataset import DatasetError
from training.data.sources import read_evaluation
from training.evaluation.answers import answer, describe
from training.evaluation.scoring import open_model
from training.litert import quieten
from training.runs import read_history, tell_left_out
from webapp.errors import MienError
from webapp.files.atomic import write
from webapp.files.text import forgiving_console


@click.command()
@click.option("--model", required=True, help="ACTIVE, a version, a run's folder, .keras or .h5.")
@click.option("--data", type=click.Path(path_type=Path), required=True)
@click.option("--ferplus", type=click.Path(path_type=Path), help="FER+ votes (CSV).")
@click.option("--json", "target", default="-", show_default=True, help="- prints.")
@click.option("--models-dir", type=click.Path(path_type=Path), default="models", show_default=True)
@click.option("--report", "folder", type=click.Path(path_type=Path), help="Write a report here.")
@click.option(
    "--report-sample",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Faces for degraded copies.",
)
def main(
    model: str, data: Path, ferplus: Path | None, target: str, models_dir: Path,
    folder: Path | None, report_sample: int,
) -> None:  # fmt: skip
    """Measure a model on a folder, archive or table of labelled faces; on its test set if any."""
    forgiving_console()
    quieten()
    try:
        with opened(data) as source:
            faces = read_evaluation(source, ferplus)
        tell_left_out(faces.unreadable)
        scorer = open_model(model, models_dir)
        answers = answer(scorer, faces)
        report = describe(scorer, answers)
        if folder is not None:
            from training.evaluation.report import write_report

            history = read_history(Path(model)) if Path(model).is_dir() else []
            write_report(folder, scorer, answers, report, history, report_sample)
        text = json.dumps(report, indent=2, sort_keys=True) + "\n"
        if target == "-":
            click.echo(text, nl=False)
        else:
            write(Path(target), text)
    except (DatasetError, MienError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"Cannot be read or written: {error}") from error


if __name__ == "__main__":
    main()
