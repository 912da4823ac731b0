"""The key that signs cookies: made once, or given."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from webapp.errors import SettingsError
from webapp.settings import Settings
from webapp.web.secret_key import secret_key


def test_the_key_is_made_once_and_only_the_owner_reads_it(tmp_path: Path) -> None:
    settings = Settings(instance_dir=str(tmp_path / "new"))
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.append(secret_key(settings))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1
    assert len(made[0]) >= 48
    (file,) = (tmp_path / "new").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert secret_key(settings) == made[0]
    file.write_text("short")
    with pytest.raises(SettingsError, match="holds no key"):
        secret_key(settings)


def test_a_given_key_is_used_unless_it_can_be_guessed(tmp_path: Path) -> None:
    assert secret_key(Settings(secret_key="k" * 40, instance_dir=str(tmp_path))) == "k" * 40
    with pytest.raises(SettingsError, match="at least 16"):
        secret_key(Settings(secret_key="secret", instance_dir=str(tmp_path)))
    assert list(tmp_path.iterdir()) == []
