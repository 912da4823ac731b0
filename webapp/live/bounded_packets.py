"""Packets of sockets, counted before they are parsed as the JSON of HTTP is.

The library reads packets itself, in the event loop. What has more parts or attachments than any
message of ours is not parsed; in its place comes an event that nobody serves, so that its sender is
answered like after every other unknown event, and the connection stays.
"""

from __future__ import annotations

from typing import Any, Final

from engineio import json
from socketio.packet import BINARY_EVENT, EVENT, Packet

from webapp.web.strict_input import check_size, check_text

REFUSED: Final = "refused"
MAX_ATTACHMENTS: Final = 4  # a frame has one; the library keeps as many as are announced


class BoundedJson:
    """The library's ``json`` (which refuses integers without end), bounded."""

    dumps = staticmethod(json.dumps)

    @staticmethod
    def loads(text: str | bytes, **options: Any) -> Any:
        """The value, or ``["refused"]``. Raises ValueError for what is no JSON."""
        try:
            check_size(text)
        except ValueError:
            return [REFUSED]
        try:
            value = json.loads(text, **options)
        except RecursionError:
            return [REFUSED]
        try:
            check_text(value)
        except ValueError:
            return [REFUSED]
        return value


class BoundedPacket(Packet):  # type: ignore[misc]
    """A Socket.IO packet that is small, or an event that nobody serves."""

    json = BoundedJson
    packet_type: int

    def decode(self, encoded_packet: Any) -> int:
        """As the library's; the number of attachments that follow."""
        try:
            count: int = super().decode(encoded_packet)
        except Exception:  # noqa: BLE001 - the library would log a traceback for whatever was sent
            self.packet_type, self.data, self.id = EVENT, [REFUSED], None
            return 0
        if self.packet_type == BINARY_EVENT and count > MAX_ATTACHMENTS:
            self.packet_type, self.data = EVENT, [REFUSED]
            return 0
        return 0 if count > MAX_ATTACHMENTS else count
