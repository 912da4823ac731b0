"""Who put which model into service, when and why: ``models/activations.jsonl``, only ever added to.

It lies beside the versions because the command line and several servers write it, too. A line is
written at once and made durable; a line that a crash cut short is left out when it is read.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

JOURNAL_FILE: Final = "activations.jsonl"
OUTCOMES: Final = ("activated", "rolled_back", "refused", "fell_back")


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of the serving version, or one that was refused.

    ``outcome``: ``activated``, ``rolled_back`` (by a person or by itself; ``automatic`` tells),
    ``refused`` (nothing changed) or ``fell_back`` (at a start, because the active one was broken).
    """

    at: str
    who: str
    outcome: str
    from_version: str | None
    to_version: str
    why: str = ""
    automatic: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Journal:
    """The entries of one models folder."""

    def __init__(self, models_dir: Path) -> None:
        self._path = models_dir / JOURNAL_FILE

    def add(
        self,
        who: str,
        outcome: str,
        from_version: str | None,
        to_version: str,
        why: str = "",
        *,
        automatic: bool = False,
    ) -> Entry:
        """Write an entry. A disk that is full costs the entry and nothing else: OSError."""
        if outcome not in OUTCOMES:
            raise ValueError(f"Expected one of {OUTCOMES}. Received {outcome!r}.")
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        entry = Entry(now, who, outcome, from_version, to_version, why[:500], automatic)
        line = json.dumps(entry.to_json(), ensure_ascii=False) + "\n"
        # begins on a line of its own, also after one that a crash cut short
        with self._path.open("a+b") as stream:
            if stream.tell():
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) != b"\n":
                    line = "\n" + line
            stream.write(line.encode())
            stream.flush()
            os.fsync(stream.fileno())
        return entry

    def served(self) -> list[str]:
        """Versions that served, the last one first."""
        names: list[Any] = []
        for entry in self.entries():
            if entry.outcome != "refused":
                names += [entry.to_version, entry.from_version]
        return [name for name in dict.fromkeys(names) if isinstance(name, str)]

    def entries(self, limit: int = 200) -> list[Entry]:
        """The newest first; lines that cannot be read are left out."""
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in reversed(lines):
            with contextlib.suppress(ValueError, TypeError):
                found.append(Entry(**json.loads(line)))
            if len(found) >= limit:
                break
        return found
