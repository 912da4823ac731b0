"""Derived bytes are made once, and never taken from a damaged file."""

from __future__ import annotations

from pathlib import Path

import pytest

from webapp.vision.derived import derived


def _fail() -> bytes:
    raise AssertionError("derived again")


def test_it_is_made_once(tmp_path: Path) -> None:
    assert derived("x", lambda: b"value", tmp_path / "cache") == b"value"
    assert derived("x", _fail, tmp_path / "cache") == b"value"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["x"]
    assert derived("y", lambda: b"other", tmp_path / "cache") == b"other"


@pytest.mark.parametrize("damage", [b"", b"short", b"\0" * 40])
def test_a_damaged_file_is_made_again(tmp_path: Path, damage: bytes) -> None:
    derived("x", lambda: b"value", tmp_path)
    (tmp_path / "x").write_bytes(damage)
    assert derived("x", lambda: b"value", tmp_path) == b"value"
    assert derived("x", _fail, tmp_path) == b"value"


def test_without_a_place_to_write_it_is_made_each_time(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for _ in range(2):
        assert derived("x", lambda: b"value", tmp_path / "file") == b"value"
