"""Runs that hold back a part of the validation split each, and their soup."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

torch = pytest.importorskip("torch")
keras = pytest.importorskip("keras")

from bench.support.heldout import unseen_faces  # noqa: E402
from tests.support.faces import make_faces, make_votes  # noqa: E402
from tests.support.trained import publish, train  # noqa: E402
from training.data.dataset import DatasetError, Fold  # noqa: E402
from training.data.sources import prepare, read_source  # noqa: E402
from training.evaluation.calibration import fit_temperature  # noqa: E402
from training.litert import keras_logits  # noqa: E402
from training.publishing.crossfit import accuracy_on_seen, parts_of  # noqa: E402
from training.publishing.finished import FinishedRun, read_run, validation_pictures  # noqa: E402
from training.publishing.members import Member, average_members, open_member, open_run  # noqa: E402
from webapp.card import ModelCard  # noqa: E402
from webapp.errors import ModelInvalid  # noqa: E402

# Keras saves TensorFlow's variables through numpy in a way that numpy 2 announces as deprecated
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


def _train(folder: Path, run: str, *more: object) -> Result:
    return train(folder, run, "--split-seed", 1, *more, batch=64)


def _tune(folder: Path, run: str, fold: str, *more: object) -> Result:
    start = folder / "models" / "base"
    return _train(folder, run, "--recipe", "mien-tune", "--start-from", start, "--fold", fold,
                  *more)  # fmt: skip


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version that held back the whole split, a run of each half, and their soup with it."""
    folder = tmp_path_factory.mktemp("crossfit")
    make_faces(folder / "fer" / "train", 40, seed=1)
    make_faces(folder / "fer" / "test", 2, seed=2, prefix="PublicTest")
    make_votes(folder / "votes.csv", folder / "fer" / "train", folder / "fer" / "test")
    for done in (
        _train(folder, "run"),
        publish(folder, "run", "base"),
        _tune(folder, "half-1", "1/2", "--seed", 2),
        _tune(folder, "half-2", "2/2", "--seed", 3),
        publish(folder, "half-1", "whole", "--soup", folder / "half-2",
                 "--soup", folder / "models" / "base", "--views", "both"),
    ):  # fmt: skip
        assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def half(family: Path) -> Path:
    """The version of one half's run alone."""
    alone = publish(family, "half-1", "half")
    assert alone.exit_code == 0, alone.output
    return family / "models" / "half"


def _names(run: Path) -> set[str]:
    return set(np.load(run / "validation.npz")["names"].tolist())


def test_the_parts_of_the_split_are_apart_and_complete(family: Path) -> None:
    whole, first, second = (_names(family / run) for run in ("run", "half-1", "half-2"))
    assert first | second == whole
    assert not first & second
    assert len(whole) == 28
    assert len(first) == 14


def test_a_part_learns_the_other_parts(family: Path) -> None:
    held = _names(family / "half-1")
    ready = prepare(family / "fer", None, 0.1, 1, Fold(1, 2))
    assert set(ready.validation.names) == held
    assert set(ready.training.names) >= _names(family / "half-2")
    assert not set(ready.training.names) & held
    assert set(ready.validation.class_counts.values()) == {2}
    facts = json.loads((family / "half-1" / "run.json").read_text())["data"]
    assert facts["fold"] == "1/2"
    assert facts["training"] == 280 - 14


def test_a_copy_of_what_is_held_back_leaves_the_other_parts(tmp_path: Path) -> None:
    make_faces(tmp_path / "train", 20, seed=1)
    first = prepare(tmp_path, None, 0.5, 1, Fold(1, 2))
    name = next(n for n, label in zip(first.validation.names, first.validation.labels, strict=True)
                if label == 0)  # fmt: skip
    copied = (tmp_path / "train" / "angry" / name).read_bytes()
    (tmp_path / "train" / "happy" / "copy.png").write_bytes(copied)
    for number in (1, 2):
        ready = prepare(tmp_path, None, 0.5, 1, Fold(number, 2))
        held = set(ready.validation.content_hashes)
        assert not held & set(ready.training.content_hashes)


def _read(network: Any, run: FinishedRun, family: Path) -> dict[str, Any]:
    """Both views, as ``--views both`` reads a network for 44x44 pictures."""
    import cv2

    source = read_source(family / "fer", family / "votes.csv").training
    greys = validation_pictures(run, source, source.fingerprint).images.astype(np.float32)
    small = np.stack([cv2.resize(g, (44, 44), interpolation=cv2.INTER_LINEAR) for g in greys])
    middle = greys[:, 2:-2, 2:-2][:, :, ::-1]
    one, other = (keras_logits(network, np.ascontiguousarray(x)[..., None])
                  for x in (small, middle))  # fmt: skip
    return {head: (one[head] + other[head]) / 2 for head in one}


def test_the_soup_is_calibrated_on_what_its_parts_never_saw(family: Path) -> None:
    card = ModelCard.load(family / "models" / "whole")
    runs = [read_run(family / name) for name in ("half-1", "half-2")]
    base = open_member(family / "models" / "base", runs[0])
    answers = [_read(average_members(open_run(run), [base]), run, family) for run in runs]
    for head in ("fer2013", "ferplus"):
        logits = np.concatenate([answer[head] for answer in answers])
        truth = np.concatenate([run.truth(head) for run in runs])
        known = truth >= 0
        figures = card.metrics["validation"][head]
        assert figures["n"] == known.sum()
        temperature = card.head(head).temperature
        assert temperature == pytest.approx(fit_temperature(logits[known], truth[known]), rel=0.03)
    assert card.metrics["validation"]["source"].startswith("out of fold")


def test_its_card_says_that_it_has_seen_everything(family: Path) -> None:
    card = ModelCard.load(family / "models" / "whole")
    data = card.data["training"]
    assert data["folds"] == 2
    assert "fold" not in data
    assert (data["training"], data["validation"]) == (280, 28)
    assert card.training["fold"] == "1/2"
    assert set(card.training["accuracy_on_seen"]) == {"fer2013", "ferplus"}
    assert [one.get("fold") for one in card.training["soup"]] == ["2/2", None]
    assert card.metrics["test"]["n"] == 14


def test_nothing_goes_on_from_a_version_that_has_seen_everything(family: Path) -> None:
    whole = family / "models" / "whole"
    refused = [
        _tune(family, "next", "1/2", "--teacher", whole),
        _train(family, "next", "--recipe", "mien-tune", "--start-from", whole),
        publish(family, "half-1", "next", "--soup", whole),
    ]
    for outcome in refused:
        assert outcome.exit_code == 1
        assert "whole was cross-fitted" in outcome.output
    assert not (family / "next").exists()


def test_what_saw_a_held_back_part_is_refused(family: Path, half: Path) -> None:
    assert ModelCard.load(half).data["training"]["fold"] == "1/2"
    refused = [
        _tune(family, "next", "2/2", "--teacher", half),
        _train(family, "next", "--teacher", half),
        publish(family, "half-2", "next", "--soup", half),
        publish(family, "run", "next", "--soup", family / "half-1"),
        publish(family, "half-1", "next", "--with", family / "half-2"),
    ]
    for outcome in refused[:3]:
        assert outcome.exit_code == 1
        assert "half held back only fold 1/2" in outcome.output
    for outcome in refused[3:]:
        assert outcome.exit_code == 1
        assert "pictures that one has seen" in outcome.output
    same_part = _tune(family, "again", "1/2", "--seed", 4, "--teacher", half)
    assert same_part.exit_code == 0, same_part.output


def test_a_run_keeps_its_part(family: Path) -> None:
    for fold in ("2/2", "1/3"):
        refused = _tune(family, "half-1", fold, "--seed", 2, "--resume")
        assert refused.exit_code == 1
        assert f"another --fold: 1/2. Received {fold}" in refused.output


def test_an_ensemble_is_not_cross_fitted(family: Path) -> None:
    outcome = publish(family, "half-1", "next", "--soup", family / "half-2",
                       "--with", family / "models" / "base")  # fmt: skip
    assert outcome.exit_code == 1
    assert "leave out --with" in outcome.output
    assert not (family / "models" / "next").exists()


@pytest.mark.parametrize("text", ["1", "0/2", "3/2", "1/1", "1/21", "a/b", "-1/2", "1/2/3"])
def test_what_is_no_fold(family: Path, text: str) -> None:
    with pytest.raises(DatasetError, match="fold like 1/2"):
        Fold.parse(text)
    refused = _tune(family, "next", text)
    assert refused.exit_code == 1
    assert "fold like 1/2" in refused.output


def test_a_validation_set_of_its_own_has_no_parts(tmp_path: Path) -> None:
    make_faces(tmp_path / "train", 4, seed=1)
    make_faces(tmp_path / "validation", 2, seed=2, prefix="v")
    with pytest.raises(DatasetError, match="validation set of its own"):
        prepare(tmp_path, None, 0.25, 3, Fold(1, 2))


def test_networks_that_do_not_mix_are_no_soup(family: Path) -> None:
    run = read_run(family / "half-1")
    right = np.eye(7, dtype=np.float32)[run.labels]
    held = replace(run, logits={"fer2013": right})
    assert accuracy_on_seen(held, {"fer2013": right}) == {"fer2013": 1.0}
    two_wrong = np.eye(7, dtype=np.float32)[np.where(np.arange(14) < 2, 0, run.labels)]
    doubtful = replace(run, logits={"fer2013": two_wrong})
    assert accuracy_on_seen(doubtful, {"fer2013": two_wrong})["fer2013"] >= 12 / 14 - 1e-4
    with pytest.raises(ModelInvalid, match="do not mix"):
        accuracy_on_seen(held, {"fer2013": np.roll(right, 1, axis=1)})


def _member(run: FinishedRun, fold: Fold | None) -> Member:
    return Member(None, {"version": str(fold)}, run if fold else None, fold)


def test_each_part_is_read_by_those_that_held_it_back(family: Path) -> None:
    run = read_run(family / "half-1")
    one, two, three, other = (_member(run, Fold(n, 3)) for n in (1, 2, 3, 2))
    version = _member(run, None)
    parts = parts_of(one, [two, version, three, other])
    assert [part.fold.number for part in parts] == [1, 2, 3]
    assert [part.run for part in parts] == [one, two, three]
    assert [part.others for part in parts] == [(version,), (version, other), (version,)]
    assert parts_of(one, [version]) == ()
    with pytest.raises(ModelInvalid, match="fold 3/3 is missing"):
        parts_of(one, [two, version])


def test_programs_measure_it_on_the_test_folder(family: Path, half: Path) -> None:
    data, votes = family / "fer", family / "votes.csv"
    folders = {name: family / "models" / name for name in ("base", "whole")} | {"half": half}
    cards = {name: ModelCard.load(folder) for name, folder in folders.items()}
    found = {name: unseen_faces(data, votes, card) for name, card in cards.items()}
    assert {name: held.kind for name, held in found.items()} == {
        "base": "validation", "whole": "test", "half": "validation",
    }  # fmt: skip
    assert set(found["base"].faces.names) == _names(family / "run")
    assert set(found["half"].faces.names) == _names(family / "half-1")
    assert all(name.startswith("PublicTest") for name in found["whole"].faces.names)
    with pytest.raises(ValueError, match="all but a folder test"):
        unseen_faces(data / "train", votes, cards["whole"])
