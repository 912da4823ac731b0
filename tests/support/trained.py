"""The training commands as a user gives them, on drawn faces in ``FOLDER/fer``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from training.publish import main as publish_main
from training.train import main as train_main


def call(command: Any, *options: object) -> Result:
    return CliRunner().invoke(command, [str(option) for option in options])


def train(folder: Path, run: str, *more: object, batch: int = 16) -> Result:
    """One epoch on ``folder/fer`` into ``folder/run``."""
    return call(
        train_main, "--data", folder / "fer", "--ferplus", folder / "votes.csv", "--epochs", 1,
        "--batch", batch, "--threads", 1, "--out", folder / run,
        "--models-dir", folder / "models", *more,
    )  # fmt: skip


def publish(folder: Path, run: str, name: str, *more: object) -> Result:
    """``folder/run`` as ``folder/models/name``."""
    return call(
        publish_main, folder / run, "--name", name, "--models-dir", folder / "models",
        "--data", folder / "fer", "--ferplus", folder / "votes.csv", *more,
    )  # fmt: skip
