"""Who may import whom: the shape of the program, held by a test."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODEL_LIBRARIES = {"tensorflow", "keras", "torch", "ai_edge_litert", "dlib"}
# May import the vision code and with it the model libraries. The command line is no server.
# the last one in the process of its own that it starts
LOADERS = {"webapp/inference/worker.py", "webapp/cli.py", "webapp/models/verify.py"}
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


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def import_graph() -> dict[str, set[str]]:
    """Which files of the program import which; packages as targets stand for their ``__init__``."""
    modules = {
        module_of(path): path
        for folder in ("webapp", "training", "bench")
        for path in files(folder)
        if "examples" not in path.parts
    }
    inner = {name for name, path in modules.items() if path.name != "__init__.py"}
    return {
        name: {found for found in imports(path) if found in inner and found != name}
        for name, path in modules.items()
    }


def circles(graph: dict[str, set[str]]) -> list[str]:
    """The first circle of a graph, as a line; none where it can be sorted."""
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return [" <- ".join(error.args[1])]
    return []


def folder_of(module: str, package: str) -> str:
    """The folder or file in ``package`` that a module lies in."""
    depth = package.count(".") + 1
    return ".".join(module.split(".")[: depth + 1])


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circles(import_graph()) == []


@pytest.mark.parametrize("package", ["webapp", "webapp.survey", "training", "bench"])
def test_no_folders_import_each_other_in_a_circle(package: str) -> None:
    """Files right in ``package`` count as themselves: ground and roof lie in one folder."""
    graph: dict[str, set[str]] = {}
    for module, found in import_graph().items():
        if module.startswith(package + "."):
            room = folder_of(module, package)
            others = {folder_of(name, package) for name in found if name.startswith(package + ".")}
            graph.setdefault(room, set()).update(others - {room})
    assert len(graph) > 5
    assert circles(graph) == []


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}}) != []
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []


def test_only_the_inspection_of_models_runs_training() -> None:
    naming = {
        path.relative_to(ROOT).as_posix()
        for path in files("webapp")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"training(\.\w+)+", node.value)
    }
    assert naming == {"webapp/models/inspection.py"}


def test_a_file_of_more_than_400_lines_says_why_at_its_top() -> None:
    for folder in ("webapp", "training", "bench"):
        for path in files(folder):
            text = path.read_text(encoding="utf-8")
            if text.count("\n") > 400:
                docstring = ast.get_docstring(ast.parse(text)) or ""
                assert "Longer than 400 lines because" in " ".join(docstring.split()), path


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


def test_only_workers_commands_and_the_verification_load_models() -> None:
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
    detectors = {"blazeface.py", "detector.py", "windows.py", "yunet.py"}
    assert resizing == {"webapp/vision/crops.py", *(f"webapp/vision/{n}" for n in detectors)}


@pytest.mark.parametrize("module", WEB_MODULES)
def test_serving_modules_start_without_model_libraries(module: str) -> None:
    code = (
        f"import sys, warnings; warnings.simplefilter('ignore'); import {module}; "
        f"print(sorted({MODEL_LIBRARIES | {'scipy'}!r} & set(sys.modules)))"
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
