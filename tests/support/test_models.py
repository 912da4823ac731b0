import numpy as np

from tests.support.models import make_version
from training.litert import compare, litert_outputs
from webapp.card import GOLDEN_FILE, TFLITE_FILE, ModelCard, sha256_of


def _golden(folder):
    with np.load(folder / GOLDEN_FILE) as archive:
        return dict(archive)


def test_version_folder_is_what_its_card_says(tmp_path):
    folder = make_version(tmp_path, version="test-9")
    card = ModelCard.load(folder)
    assert folder == tmp_path / "test-9"
    assert card.version == "test-9"
    for name, digest in card.files.items():
        assert sha256_of(folder / name) == digest
    golden = _golden(folder)
    inputs = golden.pop("inputs")
    assert dict(compare(golden, folder / TFLITE_FILE, inputs).outputs) == {
        head.name: head.output for head in card.heads
    }


def test_batch_is_open_and_answers_depend_on_the_picture(tmp_path):
    folder = make_version(tmp_path)
    inputs = _golden(folder)["inputs"]
    single = litert_outputs(folder / TFLITE_FILE, inputs[:1])[0]
    batch = litert_outputs(folder / TFLITE_FILE, inputs)[0]
    assert single.shape == (1, 7)
    assert batch.shape == (16, 7)
    np.testing.assert_allclose(single[0], batch[0], atol=1e-4)
    assert len(set(batch.argmax(axis=1).tolist())) >= 3


def test_seed_gives_another_model(tmp_path):
    first, second = make_version(tmp_path, "a", 0), make_version(tmp_path, "b", 1)
    assert ModelCard.load(first).files != ModelCard.load(second).files
