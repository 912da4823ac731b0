"""Versions that come with an upgrade reach the models folder of a volume."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.models import activate, make_version
from webapp.errors import NotFound
from webapp.inference.client import InferenceService
from webapp.models.journal import Journal
from webapp.models.registry import Registry
from webapp.models.shipped import bring
from webapp.models.startup import start_inference
from webapp.settings import Settings


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The models of the program: one active version."""
    make_version(tmp_path / "image", "one")
    activate(tmp_path / "image", "one")
    return tmp_path / "image"


def names(folder: Path) -> list[str]:
    return [found.version for found in Registry(folder).versions()]


def test_an_upgrade_brings_its_model_and_leaves_the_active_one(image: Path, tmp_path: Path) -> None:
    volume = tmp_path / "data" / "models"
    assert bring(image, volume) == ["one"]
    assert Registry(volume).active().version == "one"
    make_version(image, "two")
    activate(image, "two")
    assert bring(image, volume) == ["two"]
    assert sorted(names(volume)) == ["one", "two"]
    assert Registry(volume).active().version == "one"
    assert Registry(volume).damaged() == {}
    assert bring(image, volume) == []


def test_what_was_deleted_stays_deleted_and_what_is_there_is_kept(
    image: Path, tmp_path: Path
) -> None:
    volume = tmp_path / "volume"
    make_version(volume, "one")  # as an earlier program brought it
    (volume / "one" / "mine.txt").touch()
    assert bring(image, volume) == []
    assert (volume / "one" / "mine.txt").exists()
    shutil.rmtree(volume / "one")
    assert bring(image, volume) == []
    assert names(volume) == []


def test_a_copy_that_was_cut_off_is_made_anew(image: Path, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    (volume / ".one.partial").mkdir(parents=True)
    assert bring(image, volume) == ["one"]
    assert names(volume) == ["one"]


@pytest.mark.parametrize("text", ["nothing-of-that-name\n", "\n", "\xff\xfe", None])
def test_an_active_file_that_names_nothing_starts_what_served_last(
    image: Path, text: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(InferenceService, "start", lambda self: None)
    make_version(image, "two")
    registry, journal = Registry(image), Journal(image)
    journal.add("a", "activated", "one", "two")
    journal.add("a", "refused", "two", "three")
    active = image / "ACTIVE"
    active.unlink()
    if text is None:
        active.mkdir()
    else:
        active.write_bytes(text.encode("latin-1"))
    start_inference(Settings(models_dir=str(image)), registry)
    entry = journal.entries(1)[0]
    assert (entry.outcome, entry.to_version, entry.automatic) == ("fell_back", "two", True) or (
        text is None
    )
    assert text is None or registry.active_name() == "two"


def test_without_anything_that_served_it_says_what_is_wrong(image: Path) -> None:
    activate(image, "nothing")
    with pytest.raises(NotFound, match="nothing"):
        start_inference(Settings(models_dir=str(image)), Registry(image))
