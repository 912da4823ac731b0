"""``python -m webapp.cli``: read pictures and manage models without a server.

Commands whose modules are heavy are imported when they are called. Other parts of Mien add their
commands through :data:`OTHER_COMMANDS`.
"""

from __future__ import annotations

import getpass
import importlib
import importlib.util
import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

import click

from webapp.cluster.shared_registry import open_registry
from webapp.domain import FrameResult
from webapp.errors import MienError
from webapp.files import atomic
from webapp.files.text import forgiving_console
from webapp.models.journal import Journal
from webapp.models.registry import Registry
from webapp.settings import Settings

# name -> module and attribute of a click command; left out where the module does not exist
OTHER_COMMANDS: Final = {
    "survey": ("webapp.commands.survey", "survey"),
    "cluster": ("webapp.commands.cluster", "cluster"),
    "worker": ("webapp.commands.cluster", "worker"),
    "admin": ("webapp.commands.admin", "admin"),
    "mood": ("webapp.commands.mood", "mood"),
}


class _Group(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        others = [name for name, (module, _) in OTHER_COMMANDS.items() if _exists(module)]
        return sorted([*super().list_commands(ctx), *others])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module, attribute = OTHER_COMMANDS.get(cmd_name, ("", ""))
        if module and _exists(module):
            command: click.Command = getattr(importlib.import_module(module), attribute)
            return command
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        forgiving_console()
        try:
            return super().invoke(ctx)
        except MienError as error:
            raise click.ClickException(error.message) from error


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@click.group(cls=_Group)
def cli() -> None:
    """Mien reads facial expressions in pictures: movement of the face, not inner feeling."""


@cli.command()
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH...",
)
@click.option("--json", "target", metavar="FILE", help="Write everything as JSON; - for stdout.")
@click.option("--model", help="Model version; default is the active one.")
@click.option("--fps", default=2.0, show_default=True, help="Frames a second taken of videos.")
def analyze(paths: tuple[Path, ...], target: str | None, model: str | None, fps: float) -> None:
    """Read pictures, folders, ZIPs and videos, one after the other.

    Each file comes out once: with its faces, or with the error that says why not. Ends with
    status 1 when nothing could be read.
    """
    from webapp.commands.analyze import items_of, read_item, summarise
    from webapp.vision.pipeline import Pipeline

    if not 0 < fps <= 60:
        raise click.BadParameter("expected frames a second above 0, at most 60", param_hint="--fps")
    settings = Settings.from_environment()
    registry = Registry(settings.models_path)
    version = registry.get(model) if model else registry.active()
    pipeline = Pipeline.from_version(
        version.folder,
        max_pixels=settings.max_image_pixels,
        detector_model=settings.detector_model,
    )
    rows: list[dict[str, Any]] = []
    skipped: list[str] = []
    for item in items_of(paths, settings, skipped):
        rows.append(read_item(pipeline, item, fps, settings))
        click.echo(_line(rows[-1]), err=target == "-")
    summary = summarise(rows) | {"skipped": len(skipped)}
    if target is not None:
        report = {"model": version.version, "summary": summary, "items": rows}
        _write(target, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    left = f"; {len(skipped)} left by operating systems skipped" if skipped else ""
    click.echo(
        f"{summary['read']} read, {summary['errors']} not; {summary['faces']} faces{left}",
        err=True,
    )
    if not summary["read"]:
        raise SystemExit(1)


def _line(row: dict[str, Any]) -> str:
    if "error" in row and not row.get("frames"):
        return f"{row['source']}: {row['error']['message']}"
    results = [row["result"]] if "result" in row else [f["result"] for f in row["frames"]]
    faces = [FrameResult.from_json(result).faces for result in results]
    if "frames" in row:
        labels = Counter(face.label for found in faces for face in found).most_common(3)
        shown = ", ".join(f"{label} {count}x" for label, count in labels) or "no face"
        cut = f". {row['error']['message']}" if "error" in row else ""
        return f"{row['source']}: {len(results)} frames: {shown}{cut}"
    shown = ", ".join(f"{face.label} {face.confidence:.0%}" for face in faces[0]) or "no face"
    return f"{row['source']}: {shown}"


def _write(target: str, text: str) -> None:
    """To standard output, or to a file that is replaced only when everything is written."""
    if target == "-":
        click.echo(text, nl=False)
        return
    atomic.write(Path(target), text)


@cli.group()
def models() -> None:
    """List, check and switch model versions. A running server follows within a second or two."""


def _registry() -> Registry:
    return open_registry(Settings.from_environment())


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_versions(as_json: bool) -> None:
    """Every whole version; the active one is marked with a star."""
    registry = _registry()
    try:
        active = registry.active().version
    except MienError as error:
        active = None
        click.echo(error.message, err=True)
    rows = [
        {
            "version": found.version,
            "active": found.version == active,
            "created": found.card.created,
            "recipe": found.card.recipe,
        }
        for found in registry.versions()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        star = "*" if row["active"] else " "
        click.echo(f"{star} {row['version']}  {row['created']}  {row['recipe']}")


@models.command()
@click.argument("version", required=False)
def verify(version: str | None) -> None:
    """Compare a version's files with its card and run its golden pictures."""
    registry = _registry()
    report = registry.verify(version or registry.active().version)
    for name, digest in report["files"].items():
        click.echo(f"{name}  sha256 {digest}")
    for head, difference in report["differences"].items():
        click.echo(f"head {head}: golden pictures differ by at most {difference:.2g}")


@models.command()
@click.argument("version")
def activate(version: str) -> None:
    """Make a version the one that serves, after checking it."""
    registry = _registry()
    before = registry.active_name()
    after = registry.activate(version).version
    if after != before:
        Journal(registry.models_dir).add(_who(), "activated", before, after)
    click.echo(f"{after} is active")


@models.command()
def rollback() -> None:
    """Go back to the version that was active before, after checking it."""
    registry = _registry()
    before = registry.active_name()
    after = registry.rollback().version
    Journal(registry.models_dir).add(_who(), "rolled_back", before, after)
    click.echo(f"{after} is active")


@models.command("bring")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def bring_versions(folder: Path) -> None:
    """Copy versions that our models folder never had from FOLDER; the active one stays."""
    from webapp.models.shipped import bring

    target = Settings.from_environment().models_path
    try:
        new = bring(folder, target)
    except OSError as error:
        raise click.ClickException(f"{target} cannot be written: {error}") from error
    for name in new:
        click.echo(f"{name} is new; activate it when you want it to serve")


@models.command("delete")
@click.argument("version")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete_version(version: str, yes: bool) -> None:
    """Delete a version for good; not the active one, and not the last."""
    from webapp.commands.admin import record_if_possible

    if not yes:
        click.confirm(f"Delete {version} with its files?", abort=True)
    try:
        _registry().remove(version)
    except OSError as error:
        raise click.ClickException(f"{version} cannot be deleted: {error}") from error
    record_if_possible("model.delete", version, _who())
    click.echo(f"{version} is deleted")


def _who() -> str:
    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):  # a container without a user table
        return "command line"


@models.command()
def history() -> None:
    """Who put which version into service, newest first."""
    for entry in Journal(_registry().models_dir).entries():
        how = "by itself" if entry.automatic else f"by {entry.who}"
        why = f": {entry.why}" if entry.why else ""
        change = f"{entry.from_version or 'nothing'} -> {entry.to_version}"
        click.echo(f"{entry.at}  {change}  {entry.outcome} {how}{why}")


if __name__ == "__main__":
    cli()
