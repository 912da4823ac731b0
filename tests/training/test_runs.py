import json
import subprocess
import sys
from pathlib import Path

import pytest

from training.runs import read_history, save_through, write_history, write_json
from webapp.files.atomic import replacing


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "run.json"
    write_json(path, {"a": 1})
    with pytest.raises(RuntimeError, match="half way"), replacing(path) as stream:
        stream.write(b"{")
        raise RuntimeError("half way")
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


def test_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "run.json"
    write_json(path, {"a": 1})
    code = (
        "import pathlib, resource, signal, sys\n"
        "from webapp.files.atomic import replacing\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    with replacing(pathlib.Path(sys.argv[1])) as stream:\n"
        "        stream.write(b'x' * 100_000)\n"
        "except OSError as error:\n"
        "    print(error.strerror)\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "File too large"
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize("kind", [OSError, RuntimeError])  # the latter is HDF5's
def test_saver_that_fails_leaves_no_part(tmp_path, kind):
    def save(path):
        path.write_bytes(b"part")
        raise kind("no space")

    with pytest.raises(OSError, match="no space"):
        save_through(tmp_path / "model.keras", save)
    assert not list(tmp_path.iterdir())


def test_cut_last_line_of_the_history_is_dropped(tmp_path):
    write_history(tmp_path, [{"epoch": 1}, {"epoch": 2}])
    path = tmp_path / "history.jsonl"
    path.write_text(path.read_text() + '{"epoch": 3, "lo')
    assert read_history(tmp_path) == [{"epoch": 1}, {"epoch": 2}]
