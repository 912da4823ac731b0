"""A file is whole or what it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from webapp.files.atomic import replacing, write


def test_content_replaces_the_file_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write(path, "grün")
    write(path, b"\0")
    assert path.read_bytes() == b"\0"
    assert path.stat().st_mode & 0o777 == 0o644
    write(path, "secret", private=True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]


def test_an_error_leaves_the_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write(path, "before")
    with pytest.raises(RuntimeError), replacing(path) as stream:
        stream.write(b"half")
        raise RuntimeError
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]
