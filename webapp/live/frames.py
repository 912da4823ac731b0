"""What a client sends with one live frame, checked before anything else sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from webapp.errors import InvalidRequest, PayloadTooLarge

MAX_SEQ = 2**53 - 1  # the largest integer that JavaScript counts without gaps
MAX_SIDE = 16_384  # px; no camera sends more, and boxes stay exact in float
_MAX_MS = 1e15  # some 30,000 years; keeps time arithmetic finite


@dataclass(frozen=True, slots=True)
class LiveFrame:
    """One frame as it arrived: ``captured_ms`` on the sender's clock, sizes in pixels."""

    seq: int
    captured_ms: float
    width: int
    height: int
    jpeg: bytes


def _integer(meta: dict[str, Any], name: str, low: int, high: int) -> int:
    value = meta.get(name)
    # bool is an int to Python and no number to anybody else; 12.0 is what some clients make of 12
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidRequest(
            f"meta.{name}: expected a whole number from {low} to {high}. Received {_short(value)}.",
            field=name,
        )
    return value


def _milliseconds(meta: dict[str, Any], name: str) -> float:
    value = meta.get(name)
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not -_MAX_MS <= value <= _MAX_MS  # NaN fails this too
    ):
        raise InvalidRequest(
            f"meta.{name}: expected a time in milliseconds. Received {_short(value)}.", field=name
        )
    return float(value)


def _short(value: object) -> str:
    """A value as text that is fit for a message: never more than 40 characters of it."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**20:
        return "an integer of more than 20 digits"
    text = repr(value) if isinstance(value, (bool, int, float, type(None))) else ""
    if isinstance(value, str):
        text = repr(value[:41])
    return (text or type(value).__name__) if len(text) <= 40 else text[:40] + "..."


def parse_frame(args: Sequence[Any], max_bytes: int) -> LiveFrame:
    """Check the arguments of one ``frame`` event.

    Raises :class:`InvalidRequest` naming the first thing that is wrong, and
    :class:`PayloadTooLarge` for more than ``max_bytes`` of picture.
    """
    if len(args) != 2:
        raise InvalidRequest(
            f"frame: expected two arguments, meta and the JPEG's bytes. Received {len(args)}."
        )
    meta, jpeg = args
    if not isinstance(meta, dict):
        raise InvalidRequest(
            "frame: expected meta to be an object with seq, captured_ms, width and height. "
            f"Received {type(meta).__name__}.",
            field="meta",
        )
    if not isinstance(jpeg, (bytes, bytearray)):
        raise InvalidRequest(
            f"frame: expected the JPEG as binary data. Received {type(jpeg).__name__}.",
            field="jpeg",
        )
    if not jpeg:
        raise InvalidRequest("frame: expected a JPEG. Received no bytes.", field="jpeg")
    if len(jpeg) > max_bytes:
        raise PayloadTooLarge(
            f"frame: expected at most {max_bytes} bytes. Received {len(jpeg)}. "
            "Lower the picture's size or JPEG quality.",
            max_frame_bytes=max_bytes,
            received_bytes=len(jpeg),
        )
    return LiveFrame(
        seq=_integer(meta, "seq", 0, MAX_SEQ),
        captured_ms=_milliseconds(meta, "captured_ms"),
        width=_integer(meta, "width", 1, MAX_SIDE),
        height=_integer(meta, "height", 1, MAX_SIDE),
        jpeg=bytes(jpeg),
    )
