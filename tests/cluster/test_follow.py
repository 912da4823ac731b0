"""One active model for all nodes: copied, verified, and only then served."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.models import activate, make_version
from webapp.cluster.follow import ModelFollower
from webapp.cluster.shared_registry import NodeRegistry, open_registry
from webapp.errors import InferenceUnavailable, ModelInvalid, StorageUnavailable
from webapp.settings import Settings

pytestmark = pytest.mark.slow


class Serving:
    def __init__(self, version: str) -> None:
        self.version = version
        self.trouble: Exception | None = None

    def swap(self, version: str, written: Callable[[], None]) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.version = version
        written()


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[NodeRegistry, NodeRegistry]]:
    """Two nodes whose store the first one filled with test-1."""
    opened = []
    for name in "ab":
        models = tmp_path / name
        models.mkdir()
        if name == "a":
            make_version(models, "test-1")
            activate(models, "test-1")
        url = f"file://{tmp_path / 'shared'}"
        opened.append(open_registry(Settings(models_dir=str(models), models_url=url)))
    yield opened[0], opened[1]
    for registry in opened:
        registry.close()


def test_a_new_node_starts_with_the_model_of_the_others(
    nodes: tuple[NodeRegistry, NodeRegistry],
) -> None:
    _, b = nodes
    assert b.active().version == "test-1"
    assert b.verify("test-1")["differences"]


def test_an_activation_and_its_rollback_reach_the_other_node(
    nodes: tuple[NodeRegistry, NodeRegistry],
) -> None:
    a, b = nodes
    serving = Serving("test-1")
    follower = ModelFollower(b, serving, serving.swap, poll_s=1)
    assert follower.look().in_step
    make_version(a.models_dir, "test-2", seed=1)
    a.activate("test-2")
    state = follower.look()
    assert (state.serving, state.in_step, b.active().version) == ("test-2", True, "test-2")
    assert b.history() == ["test-1"]
    b.rollback()
    assert a.wanted() == "test-1"
    other = Serving("test-2")
    assert ModelFollower(a, other, other.swap, poll_s=1).look().serving == "test-1"


def test_a_node_that_cannot_serve_it_stays_and_says_so_and_tries_again(
    nodes: tuple[NodeRegistry, NodeRegistry],
) -> None:
    a, b = nodes
    make_version(a.models_dir, "test-2", seed=1)
    a.activate("test-2")
    serving = Serving("test-1")
    follower = ModelFollower(b, serving, serving.swap, poll_s=1)
    serving.trouble = InferenceUnavailable("No worker is ready.")
    state = follower.look()
    assert (state.serving, state.wanted, state.problem, state.in_step) == (
        "test-1",
        "test-2",
        "No worker is ready.",
        False,
    )
    assert b.active().version == "test-1"
    serving.trouble = None
    assert follower.look().in_step


def test_a_damaged_copy_is_fetched_again(nodes: tuple[NodeRegistry, NodeRegistry]) -> None:
    _, b = nodes
    tflite = b.models_dir / "test-1" / "model.tflite"
    whole = tflite.read_bytes()
    tflite.write_bytes(b"damaged")
    assert (b.verified_folder("test-1") / "model.tflite").read_bytes() == whole


def test_a_damaged_version_in_the_store_never_arrives(
    nodes: tuple[NodeRegistry, NodeRegistry], tmp_path: Path
) -> None:
    a, b = nodes
    make_version(a.models_dir, "test-2", seed=1)
    a.activate("test-2")
    (tmp_path / "shared" / "test-2" / "model.tflite").write_bytes(b"damaged")
    with pytest.raises(ModelInvalid, match="changed or damaged"):
        b.verified_folder("test-2")
    assert sorted(path.name for path in b.models_dir.iterdir() if path.is_dir()) == ["test-1"]


def test_a_node_in_the_middle_of_its_own_swap_is_left_alone(
    nodes: tuple[NodeRegistry, NodeRegistry],
) -> None:
    a, _ = nodes
    serving = Serving("test-1")
    follower = ModelFollower(a, serving, serving.swap, poll_s=1)
    follower.look()
    serving.version = "test-2"  # swapped by this node's administrator, not written down yet
    assert follower.look().serving == "test-2"


def test_nothing_is_activated_that_could_not_be_shared(
    nodes: tuple[NodeRegistry, NodeRegistry], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, _ = nodes
    make_version(a.models_dir, "test-2", seed=1)

    def away(*_: object) -> None:
        raise StorageUnavailable("The store is away.")

    monkeypatch.setattr(a._remote, "put", away)
    with pytest.raises(StorageUnavailable):
        a.activate("test-2")
    assert a.active().version == "test-1"
    assert a.wanted() == "test-1"
