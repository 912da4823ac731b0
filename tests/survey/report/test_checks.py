"""Pictures unlike those a model's mistakes were measured on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from webapp.domain import QUALITY_FIGURES
from webapp.survey.ledger import LABELS
from webapp.survey.report.checks import unlike_test_set

ORDINARY = {
    "sharpness": 0.7,
    "light": 130.0,
    "side_light": 0.2,
    "noise": 2.5,
    "blockiness": 1.4,
}


def records(*, side=90.0, label="happy", low=0, faces=40, **figures):
    quality = tuple((ORDINARY | figures)[name] for name in QUALITY_FIGURES)
    one = SimpleNamespace(box=(0.0, 0.0, side, side), quality=quality, label=label)
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
        ({"noise": 10.0}, "many faces are grainy"),
        ({"noise": 20.0, "sharpness": 3.0}, "many faces are grainy"),
        ({"side_light": 1.1}, "many faces are lit from one side"),
        ({"blockiness": 3.0}, "many faces show the blocks of strong compression"),
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
    assert unlike_test_set(records(**dict.fromkeys(ORDINARY))) == []
    assert unlike_test_set(records(faces=10, side=30.0)) == []
