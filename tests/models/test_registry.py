from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.models import make_version
from webapp.card import CARD_FILE, GOLDEN_FILE, KERAS_FILE, TFLITE_FILE, ModelCard, sha256_of
from webapp.errors import Conflict, ModelInvalid, NotFound
from webapp.models import verify as module
from webapp.models.registry import ACTIVE_FILE, HISTORY_FILE, Registry
from webapp.sandbox import seccomp


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for name, seed in (("test-1", 0), ("test-2", 1)):
        make_version(tmp_path / "models", name, seed)
    return tmp_path / "models"


def names(registry: Registry) -> list[str]:
    return [version.version for version in registry.versions()]


def test_versions_come_oldest_first(models: Path) -> None:
    replace(ModelCard.load(models / "test-1"), created="2027-01-01").save(models / "test-1")
    found = Registry(models).versions()
    assert [v.version for v in found] == ["test-2", "test-1"]
    assert found[0].folder == models / "test-2"
    assert found[0].card.version == "test-2"


def test_a_missing_folder_holds_no_versions(tmp_path: Path) -> None:
    assert Registry(tmp_path / "nowhere").versions() == []
    with pytest.raises(NotFound, match="models activate"):
        Registry(tmp_path / "nowhere").active()


def test_half_written_and_foreign_folders_are_not_versions(models: Path) -> None:
    (models / "test-1" / TFLITE_FILE).unlink()
    (models / "no-card").mkdir()
    make_version(models, "cut-card")
    card = models / "cut-card" / CARD_FILE
    card.write_text(card.read_text(encoding="utf-8")[:100], encoding="utf-8")
    make_version(models, "other-name")
    (models / "other-name").rename(models / "renamed")
    make_version(models, "upload")
    (models / "upload").rename(models / ".upload-tmp")
    (models / "README").write_text("a file", encoding="utf-8")
    registry = Registry(models)
    assert names(registry) == ["test-2"]
    with pytest.raises(ModelInvalid, match=r"lacks model\.tflite"):
        registry.get("test-1")
    with pytest.raises(ModelInvalid, match="must agree"):
        registry.get("renamed")


@pytest.mark.parametrize(
    "name", ["nothing", "", "..", "../models/test-1", ".upload", "a/b", "a\0b"]
)
def test_names_that_are_no_version_are_not_found(models: Path, name: str) -> None:
    with pytest.raises(NotFound):
        Registry(models).get(name)


def test_verify_reports_hashes_and_differences(models: Path) -> None:
    report = Registry(models).verify("test-1")
    assert report["version"] == "test-1"
    assert report["files"][TFLITE_FILE] == sha256_of(models / "test-1" / TFLITE_FILE)
    assert set(report["differences"]) == {"fer2013", "ferplus"}


@pytest.mark.skipif(not seccomp.supported(), reason="needs seccomp: no filter for this system")
@pytest.mark.parametrize("timed", [False, True])
def test_whoever_verifies_and_measures_is_confined_and_says_so(models: Path, timed: bool) -> None:
    report = module.verify(models / "test-1", timed=timed)
    assert "no network, no writing, no programs" in report["confinement"]


@pytest.mark.parametrize("name", [TFLITE_FILE, KERAS_FILE, GOLDEN_FILE])
def test_verify_names_the_file_that_changed_or_is_gone(models: Path, name: str) -> None:
    path = models / "test-1" / name
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ModelInvalid, match=f"{name} of test-1 was changed or damaged"):
        Registry(models).verify("test-1")
    path.unlink()
    with pytest.raises(ModelInvalid, match=f"lacks {name}"):
        Registry(models).verify("test-1")


def test_verify_wants_a_hash_of_every_model_file(models: Path) -> None:
    card = ModelCard.load(models / "test-1")
    replace(card, files={TFLITE_FILE: card.files[TFLITE_FILE]}).save(models / "test-1")
    with pytest.raises(ModelInvalid, match="no hash"):
        Registry(models).verify("test-1")


def test_a_card_cannot_point_outside_its_folder(models: Path) -> None:
    card = ModelCard.load(models / "test-1")
    files = {**card.files, "../test-2/model.tflite": card.files[TFLITE_FILE]}
    replace(card, files=files).save(models / "test-1")
    with pytest.raises(ModelInvalid, match="which its card names"):
        Registry(models).verify("test-1")


def test_verify_runs_the_golden_pictures(models: Path) -> None:
    folder = models / "test-1"
    (folder / TFLITE_FILE).write_bytes((models / "test-2" / TFLITE_FILE).read_bytes())
    card = ModelCard.load(folder)
    files = {**card.files, TFLITE_FILE: sha256_of(folder / TFLITE_FILE)}
    replace(card, files=files).save(folder)
    with pytest.raises(ModelInvalid, match="differs from its golden outputs"):
        Registry(models).verify("test-1")


def test_a_model_that_brings_its_process_down_is_invalid(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crashed(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, -11, "", "Segmentation fault")

    monkeypatch.setattr(module.subprocess, "run", crashed)
    with pytest.raises(ModelInvalid, match=r"could not be run \(exit status -11\)"):
        Registry(models).verify("test-1")


def test_verify_loads_no_model_library_into_this_process(models: Path) -> None:
    code = (
        "import sys; from webapp.models.registry import Registry; "
        f"Registry({str(models)!r}).verify('test-1'); "
        "print([m for m in ('ai_edge_litert', 'tensorflow', 'dlib', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_activate_then_roll_back(models: Path) -> None:
    registry = Registry(models)
    assert registry.activate("test-1").version == "test-1"
    assert (models / ACTIVE_FILE).read_text(encoding="utf-8") == "test-1\n"
    with pytest.raises(Conflict, match="no earlier model"):
        registry.rollback()
    registry.activate("test-2")
    registry.activate("test-2")  # again: nothing to remember
    assert registry.active().version == "test-2"
    assert registry.history() == ["test-1"]
    assert registry.rollback().version == "test-1"
    assert Registry(models).active().version == "test-1"
    assert registry.history() == []


def test_a_damaged_version_is_not_activated(models: Path) -> None:
    registry = Registry(models)
    registry.activate("test-1")
    (models / "test-2" / KERAS_FILE).write_bytes(b"damaged")
    with pytest.raises(ModelInvalid):
        registry.activate("test-2")
    assert registry.active().version == "test-1"
    assert registry.history() == []


def test_rollback_to_a_version_that_is_gone_changes_nothing(models: Path) -> None:
    registry = Registry(models)
    registry.activate("test-1")
    registry.activate("test-2")
    (models / "test-1" / CARD_FILE).unlink()
    with pytest.raises(ModelInvalid):
        registry.rollback()
    assert registry.active().version == "test-2"
    assert registry.history() == ["test-1"]


@pytest.mark.parametrize("broken", [HISTORY_FILE, ACTIVE_FILE])
def test_a_crash_while_activating_leaves_a_state_that_works(
    models: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    registry = Registry(models)
    registry.activate("test-1")
    registry.activate("test-2")
    replace_file = Path.replace

    def crash(self: Path, target: Path) -> Path:
        if Path(target).name == broken:
            raise OSError("power cut")
        return replace_file(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crash)
        with pytest.raises(OSError, match="power cut"):
            registry.activate("test-1")
    assert registry.active().version == "test-2"
    assert {path.name for path in models.iterdir()} == {
        "test-1",
        "test-2",
        ACTIVE_FILE,
        HISTORY_FILE,
    }
    assert registry.rollback().version == "test-1"


def test_an_empty_active_file_means_none_is_active(models: Path) -> None:
    (models / ACTIVE_FILE).write_text("\n", encoding="utf-8")
    with pytest.raises(NotFound):
        Registry(models).active()


def test_an_active_version_that_is_damaged_is_an_error_and_not_another_one(models: Path) -> None:
    registry = Registry(models)
    registry.activate("test-1")
    (models / "test-1" / TFLITE_FILE).unlink()
    with pytest.raises(ModelInvalid):
        registry.active()
