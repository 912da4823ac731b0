"""The card's serving mixture, and what it makes of two heads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.models import make_version
from webapp.card import HeadSpec, Mixture, ModelCard
from webapp.errors import ModelInvalid
from webapp.vision.classifier import Classifier, served, softmax

HEADS = (HeadSpec("fer2013", 0, temperature=0.5), HeadSpec("ferplus", 1, temperature=2.0))
CARD = ModelCard("two", "test", "2026-01-01", heads=HEADS, serving_head="ferplus")
LOGITS = {
    "fer2013": np.array([[0, 1, 0, 3, 0, 0, 0]], np.float32),
    "ferplus": np.array([[0, 0, 0, 1, 0, 0, 4]], np.float32),
}


def test_a_mixture_is_the_log_linear_product_of_calibrated_heads() -> None:
    card = replace(CARD, mixture=Mixture({"fer2013": 0.25, "ferplus": 0.75}, temperature=0.8))
    product = softmax(LOGITS["fer2013"] / 0.5) ** 0.25 * softmax(LOGITS["ferplus"] / 2) ** 0.75
    product = product ** (1 / 0.8)
    assert served(card, LOGITS) == pytest.approx(product / product.sum(), abs=1e-5)


def test_an_adjustment_is_added_to_the_logits() -> None:
    adjustment = (0.0, 5.0, 0.0, 0.0, 0.0, 0.0, -5.0)
    card = replace(CARD, mixture=Mixture({"ferplus": 1.0}, adjustment=adjustment))
    assert served(card, LOGITS)[0].argmax() == 1


def test_without_a_mixture_the_serving_head_serves() -> None:
    assert served(CARD, LOGITS) == pytest.approx(softmax(LOGITS["ferplus"] / 2))


def test_a_card_with_a_mixture_survives_json(tmp_path: Path) -> None:
    card = replace(CARD, mixture=Mixture({"fer2013": 0.5, "ferplus": 0.5}, 0.9, (0.1,) * 7))
    card.save(tmp_path)
    assert ModelCard.load(tmp_path) == card


@pytest.mark.parametrize(
    "mixture",
    [
        {"weights": {}},
        {"weights": {"fer2013": 0.0}},
        {"weights": {"fer2013": 2.0}},
        {"weights": {"other": 1.0}},
        {"weights": {"fer2013": float("nan")}},
        {"weights": {"fer2013": 1.0}, "temperature": 0},
        {"weights": {"fer2013": 1.0}, "adjustment": [0, 1]},
        {"weights": {"fer2013": 1.0}, "adjustment": [99] * 7},
        {"weights": {"fer2013": "much"}},
        {"weight": {"fer2013": 1.0}},
        7,
        [1],
    ],
)
def test_a_mixture_that_cannot_be_served_is_refused(mixture: Any) -> None:
    with pytest.raises(ModelInvalid):
        ModelCard.from_json({**CARD.to_json(), "mixture": mixture})


def test_the_classifier_serves_the_mixture(tmp_path: Path) -> None:
    folder = make_version(tmp_path)
    card = ModelCard.load(folder)
    names = [head.name for head in card.heads]
    mixed = replace(
        card, mixture=Mixture(dict.fromkeys(names, 1.0), adjustment=(9.0,) + (0.0,) * 6)
    )
    mixed.save(folder)
    spec = card.input
    crops = np.full((1, spec.height, spec.width, spec.channels), 90, np.float32)
    assert Classifier.from_version(folder).probabilities(crops)[0].argmax() == 0
