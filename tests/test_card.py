from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from webapp.card import CARD_FILE, CropSpec, HeadSpec, InputSpec, ModelCard, sha256_of
from webapp.domain import EMOTIONS
from webapp.errors import ModelInvalid

CARD = ModelCard(
    version="mien-1",
    recipe="mien",
    created="2026-01-01T00:00:00+00:00",
    input=InputSpec(44, 44, 3),
    crop=CropSpec(1.1, 0.08),
    heads=(HeadSpec("fer2013", 1, "logits", 1.3), HeadSpec("ferplus", 0)),
    serving_head="ferplus",
    metrics={"accuracy": 0.7},
    files={"model.tflite": "00"},
)


def test_a_card_survives_its_file(tmp_path: Path) -> None:
    CARD.save(tmp_path)
    assert ModelCard.load(tmp_path) == CARD


def test_heads_are_found_by_name_and_the_serving_one_by_default() -> None:
    assert CARD.head().name == "ferplus"
    assert CARD.head("fer2013").temperature == 1.3
    with pytest.raises(ModelInvalid, match="no head 'other'"):
        CARD.head("other")


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"emotions": list(reversed(EMOTIONS))},
        {"version": ""},
        {"version": "../up"},
        {"version": ".hidden"},
        {"input": {"height": 48, "width": 48, "channels": 2}},
        {"input": {"height": 4, "width": 48, "channels": 1}},
        {"crop": {"scale": 0, "shift_up": 0}},
        {"crop": {"scale": 1, "shift_up": 2}},
        {"heads": []},
        {"heads": [{"name": "ferplus"}, {"name": "ferplus"}]},
        {"heads": [{"name": "ferplus", "kind": "votes"}]},
        {"heads": [{"name": "ferplus", "temperature": 0}]},
        {"serving_head": "other"},
        {"uncertain_below": 1.5},
        {"unknown_field": 1},
        {"input": {"depth": 1}},
    ],
)
def test_a_card_that_cannot_be_served_is_refused(change: dict[str, Any]) -> None:
    payload = json.loads(json.dumps(CARD.to_json())) | change
    with pytest.raises(ModelInvalid, match=r"[Cc]ard"):
        ModelCard.from_json(payload)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": "a"}', "\udcff"])
def test_a_damaged_file_is_a_typed_error(tmp_path: Path, text: str) -> None:
    (tmp_path / CARD_FILE).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelInvalid):
        ModelCard.load(tmp_path)


def test_a_missing_card_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid, match=r"card\.json"):
        ModelCard.load(tmp_path)


def test_hashes_are_those_of_the_whole_file(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000  # longer than one block
    (tmp_path / "file").write_bytes(content)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    "wrong",
    [
        {"created": {}},
        {"recipe": 5},
        {"licence": ["MIT"]},
        {"metrics": []},
        {"metrics": {"test": {"accuracy": "high"}}},
        {"metrics": {"test": {"n": True}}},
        {"files": {"model.tflite": 1}},
        {"training": "long"},
        {"uncertain_below": "0.4"},
        {"uncertain_below": float("nan")},
        {"input": {"height": "48"}},
        {"crop": {"scale": None}},
        {"heads": [{"name": "fer2013", "output": 0.5}]},
        {"heads": [{"name": []}]},
        {"version": 7},
    ],
)
def test_every_field_of_a_card_has_its_type(wrong):
    good = json.loads(json.dumps(ModelCard("v", "mien", "2026-01-01").to_json()))
    assert ModelCard.from_json(good)
    with pytest.raises(ModelInvalid):
        ModelCard.from_json(good | wrong)
