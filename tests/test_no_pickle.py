"""Nothing here reads pickles, whose bytes are a program that runs while they are read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.test_import_rules import ROOT, imports

PICKLES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
FOLDERS = ("webapp", "training", "bench", "tools")  # a test may write one, to see it refused
FILES = [ROOT / "wsgi.py", *(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))]


def unsafe_calls(tree: ast.AST) -> list[str]:
    """Calls that read pickles unless they are told not to."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        # numpy refuses pickles by default; torch does since 2.6, and says so where it is told
        if name in ("np.load", "numpy.load") and given.get("allow_pickle", "False") != "False":
            found.append(name)
        if name == "torch.load" and given.get("weights_only") != "True":
            found.append(name)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_reads_pickles(path: Path) -> None:
    names = {name.partition(".")[0] for name in imports(path)}
    assert not names & PICKLES
    assert unsafe_calls(ast.parse(path.read_text(encoding="utf-8"))) == []


def test_the_rule_sees_what_it_forbids() -> None:
    tree = ast.parse("np.load(x, allow_pickle=True); torch.load(y); np.load(z)")
    assert unsafe_calls(tree) == ["np.load", "torch.load"]
