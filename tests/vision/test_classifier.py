from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.models import make_version
from webapp.card import GOLDEN_FILE, TFLITE_FILE, HeadSpec, InputSpec, ModelCard
from webapp.errors import ModelInvalid
from webapp.vision.classifier import Classifier, check_golden, softmax


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_version(tmp_path)


@pytest.fixture
def faces() -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).uniform(0, 255, (5, 48, 48, 1)).astype(np.float32)


def golden(folder: Path) -> dict[str, npt.NDArray[np.float32]]:
    with np.load(folder / GOLDEN_FILE) as file:
        return {name: file[name] for name in file.files}


def rewrite(folder: Path, **changes: object) -> None:
    replace(ModelCard.load(folder), **changes).save(folder)  # type: ignore[arg-type]


def test_logits_of_every_head_are_those_of_keras(folder: Path) -> None:
    wanted = golden(folder)
    received = Classifier.from_version(folder).logits(wanted["inputs"])
    assert set(received) == {"fer2013", "ferplus"}
    for name, values in received.items():
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, wanted[name], atol=1e-4)
    assert not np.allclose(received["fer2013"], received["ferplus"])


def test_a_face_gives_the_same_alone_and_in_company(
    folder: Path, faces: npt.NDArray[np.float32]
) -> None:
    classifier = Classifier.from_version(folder)
    together = classifier.logits(faces)["ferplus"]
    alone = np.concatenate([classifier.logits(face[None])["ferplus"] for face in faces])
    np.testing.assert_array_equal(together, alone)


def test_no_faces_give_no_rows(folder: Path) -> None:
    empty = np.empty((0, 48, 48, 1), np.float32)
    assert Classifier.from_version(folder).probabilities(empty).shape == (0, 7)


def test_probabilities_use_the_serving_head_and_its_temperature(
    folder: Path, faces: npt.NDArray[np.float32]
) -> None:
    card = ModelCard.load(folder)
    heads = tuple(replace(head, temperature=2.0) for head in card.heads)
    rewrite(folder, heads=heads, serving_head="fer2013")
    classifier = Classifier.from_version(folder)
    logits = classifier.logits(faces)
    np.testing.assert_allclose(
        classifier.probabilities(faces), softmax(logits["fer2013"] / 2), rtol=1e-6
    )
    np.testing.assert_allclose(
        classifier.probabilities(faces, "ferplus"), softmax(logits["ferplus"] / 2), rtol=1e-6
    )


def test_a_head_of_probabilities_gives_logarithms(
    folder: Path, faces: npt.NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = np.array([[0.7, 0.3, 0, 0, 0, 0, 0]], np.float32)
    card = ModelCard.load(folder)
    heads = tuple(replace(head, kind="probabilities") for head in card.heads)
    classifier = Classifier.from_version(folder, card)
    classifier._heads = heads

    class Fixed:
        def set_tensor(self, *_: object) -> None: ...
        def invoke(self) -> None: ...
        def get_tensor(self, _: int) -> npt.NDArray[np.float32]:
            return given

    monkeypatch.setattr(classifier, "_interpreter", Fixed())
    probabilities = classifier.probabilities(faces[:1])
    np.testing.assert_allclose(probabilities, given, atol=1e-6)


def test_softmax_sums_to_one_for_large_logits() -> None:
    rows = softmax(np.array([[1000, 0, 0, 0, 0, 0, -1000], [0] * 7], np.float32))
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-6)
    assert rows[0, 0] == 1


@pytest.mark.parametrize("shape", [(48, 48, 1), (1, 48, 48, 3), (1, 44, 48, 1)])
def test_crops_of_another_shape_are_refused(folder: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="Expected crops"):
        Classifier.from_version(folder).logits(np.zeros(shape, np.float32))


def test_values_that_are_not_finite_are_an_error(
    folder: Path, faces: npt.NDArray[np.float32]
) -> None:
    faces[1, 0, 0, 0] = np.nan
    with pytest.raises(ModelInvalid, match="not finite"):
        Classifier.from_version(folder).logits(faces)


def test_a_card_with_another_input_is_refused(folder: Path) -> None:
    rewrite(folder, input=InputSpec(64, 64, 1))
    with pytest.raises(ModelInvalid, match="expected input"):
        Classifier.from_version(folder)


def test_a_card_with_a_head_the_network_lacks_is_refused(folder: Path) -> None:
    rewrite(folder, heads=(HeadSpec("ferplus", output=5),))
    with pytest.raises(ModelInvalid, match="output 5 of 2"):
        Classifier.from_version(folder)


def test_files_that_are_no_network_are_refused(folder: Path) -> None:
    (folder / TFLITE_FILE).write_bytes(b"not a network")
    with pytest.raises(ModelInvalid, match="not a LiteRT model"):
        Classifier.from_version(folder)
    (folder / TFLITE_FILE).unlink()
    with pytest.raises(ModelInvalid, match="cannot be read"):
        Classifier.from_version(folder)


def test_golden_pictures_pass_and_report_the_difference(folder: Path) -> None:
    differences = check_golden(folder)
    assert set(differences) == {"fer2013", "ferplus"}
    assert max(differences.values()) < 1e-4


def test_golden_pictures_of_another_network_are_refused(folder: Path, tmp_path: Path) -> None:
    other = make_version(tmp_path / "other", seed=1)
    (folder / GOLDEN_FILE).write_bytes((other / GOLDEN_FILE).read_bytes())
    with pytest.raises(ModelInvalid, match="differs from its golden outputs"):
        check_golden(folder)


def test_a_golden_file_that_lacks_a_head_or_is_damaged_is_refused(folder: Path) -> None:
    kept = golden(folder)
    np.savez(folder / GOLDEN_FILE, inputs=kept["inputs"], ferplus=kept["ferplus"])
    with pytest.raises(ModelInvalid, match="lacks fer2013"):
        check_golden(folder)
    np.savez(folder / GOLDEN_FILE, **{**kept, "inputs": kept["inputs"][:, :40]})
    with pytest.raises(ModelInvalid, match="does not fit"):
        check_golden(folder)
    (folder / GOLDEN_FILE).write_bytes(b"PK\x03\x04 damaged")
    with pytest.raises(ModelInvalid, match="cannot be read"):
        check_golden(folder)
