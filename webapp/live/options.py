"""What a client may choose for its connection with the ``options`` event."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from webapp.errors import InvalidRequest
from webapp.live.smoothing import BALANCED, STEADINESS


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """``smoothing`` off shows each frame alone; ``steadiness`` is a name of ``STEADINESS``."""

    smoothing: bool = True
    steadiness: str = BALANCED

    def changed(self, wanted: object) -> LiveOptions:
        """These options with those of ``wanted``, an object that may name any of them.

        Raises :class:`InvalidRequest` for anything else; then nothing is changed.
        """
        if not isinstance(wanted, dict) or not set(wanted) <= {"smoothing", "steadiness"}:
            raise InvalidRequest(
                'options: expected one object such as {"smoothing": true, "steadiness": "calm"}.'
            )
        if not isinstance(wanted.get("smoothing", True), bool):
            raise InvalidRequest("options.smoothing: expected true or false.", field="smoothing")
        steadiness = wanted.get("steadiness", BALANCED)
        if not isinstance(steadiness, str) or steadiness not in STEADINESS:
            raise InvalidRequest(
                f"options.steadiness: expected one of {', '.join(STEADINESS)}.", field="steadiness"
            )
        return replace(self, **wanted)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
