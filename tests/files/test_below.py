"""Folders that are linked into place, twice or in a circle."""

from __future__ import annotations

from pathlib import Path

from webapp.files.below import files_below


def test_files_behind_links_come_once(tmp_path: Path) -> None:
    elsewhere = tmp_path / "disk" / "train" / "happy"
    elsewhere.mkdir(parents=True)
    (elsewhere / "1.png").write_bytes(b"1")
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train").symlink_to(tmp_path / "disk" / "train")
    (folder / "again").symlink_to(tmp_path / "disk")
    (folder / "circle").symlink_to(folder)
    (folder / "nowhere").symlink_to(tmp_path / "gone")
    (folder / "2.png").symlink_to(elsewhere / "1.png")
    found = [path.relative_to(folder).as_posix() for path in files_below(folder)]
    assert found == ["2.png", "again/train/happy/1.png"]


def test_a_folder_that_is_not_there_has_no_files(tmp_path: Path) -> None:
    assert files_below(tmp_path / "gone") == []
