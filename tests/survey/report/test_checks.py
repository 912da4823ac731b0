"""Pictures unlike those a model's mistakes were measured on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from webapp.survey.ledger import LABELS
from webapp.survey.report.checks import unlike_test_set


def records(*, side=90.0, sharpness=0.7, light=130.0, label="happy", low=0, faces=40):
    one = SimpleNamespace(box=(0.0, 0.0, side, side), sharpness=sharpness, light=light, label=label)
    counts = dict.fromkeys(LABELS, 0) | {"used": faces, "low_quality": low}
    return SimpleNamespace(
        faces=(one,) * faces,
        ledger=SimpleNamespace(counts=counts),
        job=SimpleNamespace(model={"uncertain_share": 0.08}),
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"side": 30.0}, "many faces are small"),
        ({"sharpness": 0.06}, "many faces are blurred or have few pixels"),
        ({"sharpness": 4.0}, "many faces are grainy"),
        ({"light": 32.0}, "many faces are dark or bright"),
        ({"light": 210.0}, "many faces are dark or bright"),
        ({"low": 20}, "many pictures are dark, bright or blurred"),
        ({"label": "uncertain"}, "the model is unsure of many faces"),
    ],
)
def test_each_difference_is_told(change, words):
    assert unlike_test_set(records(**change)) == [words]


def test_ordinary_pictures_and_old_analyses_are_like_the_test_set():
    assert unlike_test_set(records()) == []
    assert unlike_test_set(records(sharpness=None, light=None)) == []
    assert unlike_test_set(records(faces=10, side=30.0)) == []
