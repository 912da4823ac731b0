"""``python -m training.teach RUN --data DIR --out FILE``: what a run's network answers, to be kept.

The file (a few MB) is a ``--teacher`` of later trainings where the network itself, which may be
large and have been trained elsewhere, is not at hand.
"""

from __future__ import annotations

from pathlib import Path

import click

from training.data.archive import opened
from training.data.augment import resize_batch
from training.data.dataset import DatasetError
from training.data.sources import read_source
from training.engines.distil import write_answers
from training.recipes.recipes import spec_from
from training.runs import RUN_FILE, read_json
from webapp.errors import MienError, ModelInvalid
from webapp.files.text import forgiving_console


def teach(run: Path, data: Path, out: Path, device: str = "auto") -> int:
    """Write the answers of the last whole epoch's average for all training pictures of ``data``.

    Logits are the mean of a picture's and its mirror image's. Returns the number of pictures.
    Raises :class:`ModelInvalid` for another run or other pictures, DatasetError and OSError.
    """
    import torch

    from training.engines.torch_engine import network_of, predict_logits
    from training.engines.torch_loop import Hardware, read_checkpoint

    facts = read_json(run / RUN_FILE)
    state = read_checkpoint(run, torch.device("cpu"))
    try:
        parameters = facts["parameters"]
        network = network_of(spec_from(parameters["network"]))
        network.load_state_dict(state["mean"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise ModelInvalid(f"{run} is no run of the torch engine: {error}") from error
    faces = read_source(data).training
    if faces.fingerprint != facts["data"]["fingerprint"]:
        raise ModelInvalid(f"{data} does not hold the pictures that {run} was trained on.")
    pictures = resize_batch(faces.images, int(parameters["serving_side"]))
    logits = predict_logits(network.to(Hardware(device).open()), pictures, flip=True)
    write_answers(out, faces, logits, facts["data"])
    return len(faces)


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--data", type=click.Path(path_type=Path), required=True, help="What it learnt from.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True)
@click.option("--device", type=click.Choice(("auto", "cpu", "cuda")), default="auto")
def main(run: Path, data: Path, out: Path, device: str) -> None:
    """Keep what RUN answers for all training pictures of --data."""
    forgiving_console()
    try:
        with opened(data) as source:
            count = teach(run, source, out, device)
    except (DatasetError, MienError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"Nothing was written: {error}") from error
    click.echo(f"{out}: answers for {count} pictures, {out.stat().st_size / 1e6:.1f} MB.")


if __name__ == "__main__":
    main()
