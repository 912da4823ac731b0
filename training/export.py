"""``python -m training.export VERSION --out FILE.h5``: a version's network for any Keras program.

A version may average several views of a face, which the ``.h5`` format cannot hold; the file has
the network inside, which looks once. It needs Keras alone, and no code of this project.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from training.evaluation.keras2 import load_keras
from training.evaluation.scoring import input_spec_of
from training.litert import keras_logits, quieten
from training.publishing.compact import one_view
from training.publishing.golden import golden_inputs
from training.runs import save_through
from webapp.card import KERAS_FILE
from webapp.errors import MienError, ModelInvalid
from webapp.files.text import forgiving_console
from webapp.models.registry import Registry

SUFFIXES = (".h5", ".keras")
_SAME_ANSWER = 1e-4


def export(version: Path, out: Path) -> tuple[int, ...]:
    """Write the one-view network of ``version`` (its folder) to ``out``; returns its input shape.

    The file is read again and must answer as the network does. Raises :class:`ModelInvalid` where
    it does not, for a suffix that is neither .h5 nor .keras, and for an ensemble; OSError.
    """
    if out.suffix not in SUFFIXES:
        raise ModelInvalid(f"Expected a file {' or '.join(SUFFIXES)}. Received {out.name}.")
    model = one_view(load_keras(version / KERAS_FILE))
    if any(hasattr(layer, "layers") for layer in model.layers) and out.suffix == ".h5":
        raise ModelInvalid(f"{version.name} is an ensemble: .h5 holds one network. Use .keras.")
    inputs = golden_inputs(input_spec_of(model))[:8]
    expected = keras_logits(model, inputs)

    def save(path: Path) -> None:
        model.save(path)
        for head, values in keras_logits(load_keras(path), inputs).items():
            difference = float(np.abs(values - expected[head]).max())
            if not difference <= _SAME_ANSWER:
                raise ModelInvalid(f"The file answers otherwise: head {head!r} by {difference}.")

    save_through(out, save)
    return tuple(model.input_shape[1:])


@click.command()
@click.argument("version")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True)
@click.option("--models-dir", type=click.Path(path_type=Path), default="models", show_default=True)
def main(version: str, out: Path, models_dir: Path) -> None:
    """Write the network of VERSION (a name, or ACTIVE) as .h5 or .keras, one view."""
    forgiving_console()
    quieten()
    try:
        registry = Registry(models_dir)
        found = registry.active() if version == "ACTIVE" else registry.get(version)
        shape = export(found.folder, out)
    except MienError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"Nothing was written: {error}") from error
    click.echo(
        f"{out}: {out.stat().st_size / 1e6:.1f} MB; takes float32 {[None, *shape]} in [0, 255]."
    )


if __name__ == "__main__":
    main()
