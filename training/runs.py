"""A run's folder: what was asked, a line per epoch, checkpoints; every write is whole or absent."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from webapp.errors import ModelInvalid
from webapp.files.atomic import replacing

RUN_FILE = "run.json"
HISTORY_FILE = "history.jsonl"
VALIDATION_FILE = "validation.npz"


class TimeUp(Exception):
    """The minutes that were asked for have passed; the run goes on with ``resume``."""


def write_json(path: Path, payload: Any) -> None:
    """Write ``payload`` as JSON, whole or not at all."""
    with replacing(path) as stream:
        stream.write((json.dumps(payload, indent=2, sort_keys=True) + "\n").encode())


def save_through(path: Path, save: Callable[[Path], None]) -> None:
    """Let ``save`` write a sibling file of the same suffix, then rename it to ``path``.

    Raises OSError, also where HDF5 says otherwise that the disk is full.
    """
    temporary = path.with_name(f".writing-{os.getpid()}-{path.name}")
    try:
        save(temporary)
        temporary.replace(path)
    except RuntimeError as error:
        raise OSError(f"{path.name} cannot be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def read_history(run: Path) -> list[dict[str, Any]]:
    """The lines of ``history.jsonl``, one dict per finished epoch; a cut last line is dropped."""
    path = run / HISTORY_FILE
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):
            rows.append(json.loads(line))
    return rows


def write_history(run: Path, rows: list[dict[str, Any]]) -> None:
    """Replace ``history.jsonl`` by ``rows``."""
    with replacing(run / HISTORY_FILE) as stream:
        for row in rows:
            stream.write((json.dumps(row, sort_keys=True) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises :class:`ModelInvalid` where it is none."""
    try:
        payload = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelInvalid(f"{path} cannot be read: {error}") from error
    if not isinstance(payload, dict):
        raise ModelInvalid(f"{path}: expected a JSON object.")
    return payload


def tell_left_out(names: Sequence[str], shown: int = 20) -> None:
    """Name the files that were no labelled pictures, on standard error."""
    if not names:
        return
    click.echo(f"{len(names)} files were left out:", err=True)
    for name in names[:shown]:
        click.echo(f"  {name}", err=True)
    if len(names) > shown:
        click.echo(f"  ... and {len(names) - shown} more", err=True)
