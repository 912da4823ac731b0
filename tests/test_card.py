from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from webapp.admin import card_view
from webapp.card import CARD_FILE, CropSpec, HeadSpec, InputSpec, Mixture, ModelCard, sha256_of
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


NONSENSE = [
    10**400,
    -(10**400),
    1e308,
    float("inf"),
    float("nan"),
    "text",
    "\ud800",
    True,
    None,
    [],
    [[]],
    {},
    {"a": {}},
    -1,
    "\x00<script>",
    ["a", 1, None],
]


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in a card, objects and lists themselves included."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value[:2]):
            yield from places(inner, (*path, number))


def changed(payload: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    copy = json.loads(json.dumps(payload))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return copy


def full_card() -> dict[str, Any]:
    """A card with everything that a page shows."""
    figures = {
        "n": 70,
        "accuracy": 0.7,
        "f1_macro": 0.6,
        "ece": 0.02,
        "loss": 0.9,
        "intervals": {"accuracy": [0.6, 0.8]},
        "per_class": {"happy": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 10}},
        "confusion": [[10 if i == j else 0 for j in range(7)] for i in range(7)],
        "reliability": {"count": [30, 40], "confidence": [0.4, 0.9], "accuracy": [0.5, 0.8]},
    }
    card = ModelCard(
        "v",
        "mien",
        "2026-01-01",
        metrics={"test": {"serving": figures, "data": {"fingerprint": "f"}}},
        mixture=Mixture({"fer2013": 1.0}),
        data={"training": {"fingerprint": "f", "folds": 3, "training": 9}, "ferplus_votes": True},
        training={"parameters_count": 5, "epochs": 2},
        files={"model.tflite": "0"},
    )
    return cast("dict[str, Any]", json.loads(json.dumps(card.to_json())))


def test_no_nonsense_in_a_card_breaks_more_than_that_card() -> None:
    """In every place of it: refused with words, or shown by the pages without an error."""
    payload = full_card()
    assert card_view.evaluations(ModelCard.from_json(payload))
    accepted = 0
    for path in places(payload):
        for value in NONSENSE:
            try:
                card = ModelCard.from_json(changed(payload, path, value))
            except ModelInvalid as error:
                assert len(error.message) < 2000
                continue
            accepted += 1
            shown = card_view.evaluations(card)
            assert all(len(evaluation.heat) in (0, 7) for evaluation in shown)
            card_view.facts(card)
            card_view.compare(*(shown * 2)[:2]) if shown else None
            card_view.same_pictures(card, card, "test.serving")
            json.dumps(card.to_json(), allow_nan=False).encode()
    assert accepted > 100


@pytest.mark.parametrize(
    "text",
    ["[" * 200_000, '{"a":' * 200_000, '{"metrics": ' + "[" * 100 + "]" * 100 + "}", "9" * 5000],
)
def test_a_card_of_endless_nesting_or_digits_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / CARD_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(ModelInvalid):
        ModelCard.load(tmp_path)


def test_a_card_as_large_as_a_film_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / CARD_FILE).open("wb") as stream:
        stream.truncate(6_000_000)
    with pytest.raises(ModelInvalid, match="more than"):
        ModelCard.load(tmp_path)
