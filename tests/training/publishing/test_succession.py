"""A version that teaches its successor, goes on as it, and is published together with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
keras = pytest.importorskip("keras")

from tests.support.faces import make_faces, make_votes  # noqa: E402
from tests.support.trained import publish, train  # noqa: E402
from training.data.dataset import LabelledFaces, load_folder  # noqa: E402
from training.engines.batches import epoch_batches  # noqa: E402
from training.engines.distil import taught  # noqa: E402
from training.litert import keras_logits  # noqa: E402
from training.publishing.compact import (  # noqa: E402
    average_views,
    average_weights,
    fold_batch_norms,
    one_view,
    views_of,
)
from training.recipes.recipes import MienRecipe  # noqa: E402
from webapp.card import ModelCard  # noqa: E402
from webapp.errors import ModelInvalid  # noqa: E402
from webapp.vision.classifier import Classifier  # noqa: E402

# Keras saves TensorFlow's variables through numpy in a way that numpy 2 announces as deprecated
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A first version that looks at both views, and a run that came from it and its teaching."""
    folder = tmp_path_factory.mktemp("family")
    make_faces(folder / "fer" / "train", 10, seed=1)
    make_faces(folder / "fer" / "test", 2, seed=2, prefix="PublicTest")
    make_votes(folder / "votes.csv", folder / "fer" / "train", folder / "fer" / "test")
    assert train(folder, "run-1").exit_code == 0
    first = publish(folder, "run-1", "tiny-1", "--views", "both")
    assert first.exit_code == 0, first.output
    version = folder / "models" / "tiny-1"
    tuned = train(folder, "run-2", "--recipe", "mien-tune", "--start-from", version,
                   "--teacher", version, "--teacher-share", 0.3)  # fmt: skip
    assert tuned.exit_code == 0, tuned.output
    return folder


def test_a_run_says_who_taught_it(family: Path) -> None:
    facts = json.loads((family / "run-2" / "run.json").read_text())
    assert facts["teachers"] == [facts["started_from"]]
    assert facts["started_from"]["version"] == "tiny-1"
    assert facts["parameters"]["teacher_share"] == 0.3
    alone = json.loads((family / "run-1" / "run.json").read_text())
    assert alone["teachers"] is None
    assert alone["parameters"]["teacher_share"] == 0.0


def test_a_run_and_a_version_are_published_together(family: Path) -> None:
    version = family / "models" / "tiny-1"
    done = publish(family, "run-2", "tiny-2", "--with", version, "--views", "alternate",
                    "--weights", "int8")  # fmt: skip
    assert done.exit_code == 0, done.output
    card = ModelCard.load(family / "models" / "tiny-2")
    assert card.training["published"]["views"] == [[0, "whole"], [1, "mirror"]]
    assert [member["version"] for member in card.training["members"]] == ["tiny-1"]
    assert str(family) not in (family / "models" / "tiny-2" / "card.json").read_text()
    assert card.metrics["test"]["n"] == 14
    model = keras.saving.load_model(family / "models" / "tiny-2" / "model.keras", compile=False)
    faces = np.random.default_rng(4).uniform(0, 255, (3, 48, 48, 1)).astype(np.float32)
    served = Classifier.from_version(family / "models" / "tiny-2").logits(faces)
    for head, logits in keras_logits(model, faces).items():
        assert np.abs(logits - served[head]).max() < 0.5


def test_a_soup_has_the_mean_of_the_weights(family: Path) -> None:
    version = family / "models" / "tiny-1"
    done = publish(family, "run-2", "tiny-5", "--soup", version)
    assert done.exit_code == 0, done.output
    card = ModelCard.load(family / "models" / "tiny-5")
    assert [one["version"] for one in card.training["soup"]] == ["tiny-1"]
    files = (family / "run-2", version, family / "models" / "tiny-5")
    run, old, soup = (keras.saving.load_model(f / "model.keras", compile=False) for f in files)
    parts = [fold_batch_norms(one).get_weights() for one in (run, one_view(old))]
    assert max(np.abs(a - b).max() for a, b in zip(*parts, strict=True)) > 1e-3
    for a, b, mean in zip(*parts, soup.get_weights(), strict=True):
        np.testing.assert_allclose(mean, (a + b) / 2, rtol=1e-3, atol=1e-6)  # stored as float16


def test_unrelated_networks_are_no_soup(family: Path) -> None:
    version = family / "models" / "tiny-1"
    sibling = train(family, "run-6", "--seed", 3, "--split-seed", 1)
    assert sibling.exit_code == 0, sibling.output
    for run, other in (("run-6", version), ("run-2", family / "run-6")):
        refused = publish(family, run, "tiny-6", "--soup", other)
        assert refused.exit_code == 1
        assert f"{other.name} did not go on from the same network as {run}" in refused.output
    assert not (family / "models" / "tiny-6").exists()


def test_another_seed_on_the_same_split_joins(family: Path) -> None:
    version = family / "models" / "tiny-1"
    sibling = train(family, "run-5", "--seed", 2, "--split-seed", 1, "--teacher", version)
    assert sibling.exit_code == 0, sibling.output
    held = [np.load(family / run / "validation.npz") for run in ("run-1", "run-5")]
    assert held[0]["names"].tolist() == held[1]["names"].tolist()
    assert np.abs(held[0]["logits_ferplus"] - held[1]["logits_ferplus"]).max() > 1e-3
    changed = train(family, "run-5", "--seed", 2, "--teacher", version, "--resume")
    assert changed.exit_code == 1
    assert "another split" in changed.output
    done = publish(family, "run-5", "tiny-4", "--with", family / "run-2", "--with", version)
    assert done.exit_code == 0, done.output
    card = ModelCard.load(family / "models" / "tiny-4")
    assert card.training["seed"] == 2
    assert [member["seed"] for member in card.training["members"]] == [1, 1]


def test_a_version_of_another_split_neither_teaches_nor_joins(family: Path) -> None:
    version = family / "models" / "tiny-1"
    refused = train(family, "run-3", "--seed", 2, "--teacher", version)
    assert refused.exit_code == 1
    assert "another split" in refused.output
    assert not (family / "run-3" / "run.json").exists()
    other = train(family, "run-4", "--seed", 2)
    assert other.exit_code == 0, other.output
    for member in (version, family / "run-2"):
        outcome = publish(family, "run-4", "tiny-3", "--with", member)
        assert outcome.exit_code == 1
        assert "another split" in outcome.output
    assert not (family / "models" / "tiny-3").exists()


def test_a_share_needs_a_teacher(family: Path) -> None:
    outcome = train(family, "run-5", "--teacher-share", 0.5)
    assert outcome.exit_code == 2
    assert "needs a --teacher" in outcome.output


def test_targets_follow_the_teachers(family: Path) -> None:
    faces = load_folder(family / "fer" / "train", family / "votes.csv")
    unvoted = LabelledFaces(faces.images, faces.labels, faces.names, faces.votes * 0)
    answers = {
        "fer2013": np.full((70, 7), 1 / 7, np.float32),
        "ferplus": np.eye(7, dtype=np.float32)[np.full(70, 3)],
    }
    recipe = MienRecipe(epochs=1, batch=70, smoothing=0.0, plain_tail=1.0, teacher_share=0.4)
    known = next(epoch_batches(faces, recipe, 0, 1, answers))
    assert known.fer2013.max() == pytest.approx(0.6 + 0.4 / 7)
    assert known.ferplus[:, 3].min() >= 0.4 - 1e-6
    assert known.ferplus.sum(axis=1) == pytest.approx(1.0)
    assert known.ferplus_weight == pytest.approx(0.8)
    blind = next(epoch_batches(unvoted, recipe, 0, 1, answers))
    assert blind.ferplus[:, 3] == pytest.approx(1.0)
    assert blind.ferplus_weight == pytest.approx(0.4)
    untaught = next(epoch_batches(unvoted, recipe, 0, 1))
    assert untaught.ferplus_weight == pytest.approx(0.0)


def test_teachers_answer_with_their_mean(family: Path) -> None:
    faces = load_folder(family / "fer" / "test", family / "votes.csv")
    version = family / "models" / "tiny-1"
    once, twice = taught([version], faces), taught([version, version], faces)
    assert taught([], faces) is None
    assert once is not None
    assert twice is not None
    for head, found in once.items():
        assert found.shape == (14, 7)
        assert found.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
        np.testing.assert_allclose(found, twice[head], atol=1e-6)


def _network(name: str, bias: float) -> Any:
    layers = keras.layers
    picture = layers.Input((8, 8, 1))
    x = layers.Flatten()(picture)
    outputs = {n: layers.Dense(7, name=n, bias_initializer=keras.initializers.Constant(bias))(x)
               for n in ("fer2013", "ferplus")}  # fmt: skip
    return keras.Model(picture, outputs, name=name)


@pytest.mark.parametrize("how", ["one", "both", "alternate"])
def test_an_ensemble_answers_the_mean_of_its_views(how: str) -> None:
    networks = [_network("mien", 1.0), _network("mien", -3.0)]
    views = views_of(2, how)
    pictures = np.random.default_rng(1).uniform(0, 1, (5, 8, 8, 1)).astype(np.float32)
    seen = {"whole": pictures, "mirror": np.ascontiguousarray(pictures[:, :, ::-1])}
    answers = [keras_logits(networks[number], seen[view]) for number, view in views]
    found = keras_logits(average_views(networks, views), pictures)
    for head in found:
        expected = np.mean([answer[head] for answer in answers], axis=0)
        np.testing.assert_allclose(found[head], expected, atol=1e-4)


def test_weights_of_networks_of_another_form_have_no_mean() -> None:
    picture = keras.layers.Input((8, 8, 1))
    other = keras.Model(
        picture, keras.layers.Dense(7, name="only")(keras.layers.Flatten()(picture))
    )
    with pytest.raises(ModelInvalid, match="same form"):
        average_weights([_network("a", 0.0), other])


def test_networks_that_do_not_fit_are_no_ensemble() -> None:
    picture = keras.layers.Input((8, 8, 1))
    other = keras.Model(
        picture, keras.layers.Dense(7, name="only")(keras.layers.Flatten()(picture))
    )
    with pytest.raises(ModelInvalid, match="same input and the same heads"):
        average_views([_network("a", 0.0), other], views_of(2, "one"))


def test_the_network_inside_several_views_is_found() -> None:
    alone = _network("mien", 1.0)
    assert one_view(alone) is alone
    assert one_view(average_views([alone], views_of(1, "both"))) is alone
