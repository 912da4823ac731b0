"""One batch of samples as a browser sends it, checked, and as it is stored.

Stored is a list of rows ``[t_ms, face, quality, rate, scores]``: the time of the stimulus in ms,
how many faces there were (an index into :data:`FACES`), 1 where the picture was good, results a
second or None, and the seven probabilities in the order of ``EMOTIONS`` or None.
"""

from __future__ import annotations

from typing import Any, Final

from webapp.domain import EMOTIONS
from webapp.errors import InvalidRequest

FACES: Final = ("one", "none", "several", "turned")
MAX_SAMPLES: Final = 200
MAX_SEQ: Final = 2**31 - 1
LATE_MS: Final = 10_000  # a browser shows a picture a little longer than it should
_DIGITS: Final = 4


def _number(value: Any, low: float, high: float, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise InvalidRequest(f"Expected {name} as a number from {low} to {high}.", field=name)
    return float(value)


def _scores(value: Any) -> list[float] | None:
    if value is None:
        return None
    if isinstance(value, dict):  # as an acknowledgement has them
        value = [value.get(name) for name in EMOTIONS]
    if not isinstance(value, list) or len(value) != len(EMOTIONS):
        raise InvalidRequest(f"Expected {len(EMOTIONS)} scores or null.", field="scores")
    row = [round(_number(one, 0, 1, "scores"), _DIGITS) for one in value]
    if abs(sum(row) - 1) > 0.01:
        raise InvalidRequest("Expected scores that add up to 1.", field="scores")
    return row


def _row(sample: Any, longest_ms: int) -> list[Any]:
    if not isinstance(sample, dict):
        raise InvalidRequest("Expected each sample as an object.", field="samples")
    face = sample.get("face")
    if face not in FACES:
        raise InvalidRequest(f"Expected face out of {', '.join(FACES)}.", field="face")
    rate = sample.get("rate")
    scores = _scores(sample.get("scores"))
    if scores is not None and face in ("none", "several"):
        raise InvalidRequest("Scores belong to one face.", field="scores")
    return [
        round(_number(sample.get("t_ms"), 0, longest_ms, "t_ms")),
        FACES.index(face),
        int(sample.get("quality") is True),
        None if rate is None else round(_number(rate, 0, 1000, "rate"), 2),
        scores,
    ]


def seq_of(value: Any) -> int:
    """The number of a batch, from 1. Raises :class:`InvalidRequest`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_SEQ:
        raise InvalidRequest("Expected seq as a whole number from 1.", field="seq")
    return value


def clean_samples(given: Any, shown_ms: int) -> list[list[Any]]:
    """Rows of a batch of a stimulus that takes ``shown_ms``. Raises :class:`InvalidRequest`."""
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_SAMPLES:
        raise InvalidRequest(f"Expected 1 to {MAX_SAMPLES} samples.", field="samples")
    return [_row(sample, shown_ms + LATE_MS) for sample in given]
