"""What administrators write about a version: tags and a note, in a file of this server.

``<instance>/model-notes/<version>.json``. The card beside the weights is what was measured and
never changes; this is what people think of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from webapp.errors import InvalidRequest
from webapp.files import atomic

MOST_TAGS: Final = 10
TAG_LENGTH: Final = 30
NOTE_LENGTH: Final = 2000


@dataclass(frozen=True)
class Notes:
    """``at`` is an ISO time in UTC; both it and ``by`` are empty where nothing was written."""

    tags: tuple[str, ...] = ()
    note: str = ""
    by: str = ""
    at: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"tags": list(self.tags), "note": self.note, "by": self.by, "at": self.at}


def _file(instance: Path, version: str) -> Path:
    return instance / "model-notes" / f"{version}.json"


def known(instance: Path, version: str, created: str) -> Notes:
    """What is kept of the version with this name whose card says ``created``.

    Empty notes where nothing is kept, it is damaged, or another version had the name before.
    """
    try:
        kept = json.loads(_file(instance, version).read_text(encoding="utf-8"))
        if kept["created"] != created:
            return Notes()
        tags = tuple(str(tag) for tag in kept["tags"])
        return Notes(tags, str(kept["note"]), str(kept["by"]), str(kept["at"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Notes()


def keep(instance: Path, version: str, created: str, tags: Any, note: Any, by: str) -> Notes:
    """Write notes in place of those before. Raises :class:`InvalidRequest`."""
    if (
        not isinstance(tags, list)
        or len(tags) > MOST_TAGS
        or not all(isinstance(tag, str) and 0 < len(tag.strip()) <= TAG_LENGTH for tag in tags)
    ):
        raise InvalidRequest(
            f"Expected at most {MOST_TAGS} tags of 1 to {TAG_LENGTH} characters each, in a list.",
            field="tags",
        )
    if not isinstance(note, str) or len(note) > NOTE_LENGTH:
        raise InvalidRequest(
            f"Expected the note as text of at most {NOTE_LENGTH} characters.", field="note"
        )
    unique = tuple(dict.fromkeys(tag.strip() for tag in tags))
    at = datetime.now(timezone.utc).isoformat(timespec="seconds")
    made = Notes(unique, note.strip(), by, at)
    path = _file(instance, version)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write(path, json.dumps(made.to_json() | {"created": created}, indent=2))
    return made
