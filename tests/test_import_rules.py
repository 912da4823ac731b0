"""Who may import whom: the shape of the program, held by a test."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODEL_LIBRARIES = {"tensorflow", "keras", "torch", "ai_edge_litert", "dlib"}
# May import the vision code and with it the model libraries. The command line is no server.
LOADERS = {"webapp/inference/worker.py", "webapp/cli.py"}
WEB_MODULES = (
    "webapp.app",
    "webapp.models.registry",
    "webapp.inference.client",
    "webapp.cli",
    "wsgi",
)


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, in functions too; not what only type checkers read."""
    pending: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            pending += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = list(path.relative_to(ROOT).parts[: -node.level]) if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{name.name}" for name in node.names)
        pending += ast.iter_child_nodes(node)


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def offenders(paths: list[Path], *forbidden: str) -> list[str]:
    return [
        f"{path.relative_to(ROOT).as_posix()} imports {name}"
        for path in paths
        for name in imports(path)
        if any(name == module or name.startswith(module + ".") for module in forbidden)
    ]


def test_the_rules_see_files() -> None:
    assert len(files("webapp")) > 20
    assert "webapp.vision.crops" in set(imports(ROOT / "webapp/vision/pipeline.py"))
    assert "cv2" in set(imports(ROOT / "webapp/vision/frame.py"))


def test_vision_knows_neither_the_web_nor_the_workers() -> None:
    web = ("flask", "flask_socketio", "socketio", "eventlet", "webapp.app")
    own = ("webapp.inference", "webapp.live", "webapp.api", "webapp.survey", "webapp.admin")
    assert offenders(files("webapp/vision"), *web, *own) == []


def test_the_app_never_imports_training_tests_or_bench() -> None:
    assert offenders(files("webapp"), "training", "tests", "bench") == []


def test_only_the_worker_and_the_command_line_load_models() -> None:
    others = [
        path
        for path in files("webapp")
        if "vision" not in path.relative_to(ROOT).parts
        and path.relative_to(ROOT).as_posix() not in LOADERS
    ]
    assert offenders(others, *MODEL_LIBRARIES, "webapp.vision") == []


def test_only_wsgi_patches() -> None:
    """Of what is served, that is; a speed program may patch its own process to measure a mode."""
    patching = [
        path.relative_to(ROOT).as_posix()
        for path in [*files("webapp"), *files("training")]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("monkey_patch", "patch_all")
    ]
    assert patching == []


def test_crops_alone_resize_faces_for_the_network() -> None:
    """Training and serving cannot differ, because neither shrinks a face by itself."""
    resizing = {
        path.relative_to(ROOT).as_posix()
        for path in files("webapp")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "cv2.resize"
    }
    # detectors resize what they see themselves, never what the network sees
    detectors = {"blazeface.py", "detector.py", "two_looks.py", "yunet.py"}
    assert resizing == {"webapp/vision/crops.py", *(f"webapp/vision/{n}" for n in detectors)}


@pytest.mark.parametrize("module", WEB_MODULES)
def test_serving_modules_start_without_model_libraries(module: str) -> None:
    code = (
        f"import sys, warnings; warnings.simplefilter('ignore'); import {module}; "
        f"print(sorted({MODEL_LIBRARIES!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"MIEN_PORT": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
