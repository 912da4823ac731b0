"""What is said of a sent file: where it belongs, what makes it the same file, what became of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from webapp.errors import InvalidRequest
from webapp.languages import said

MAX_UNMATCHED = 100


class Source(Protocol):
    """Anything with ``read(size)``: an open file or the body of a request."""

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one sent file: ``status`` is stored, known, duplicate, refused or unpacked.

    ``files`` counts the rows it stands for: 1, or the members of a ZIP; ``skipped`` the members
    that operating systems left behind, which are no pictures.
    """

    status: str
    path: str
    sha256: str
    files: int = 1
    reason: str | None = None
    skipped: int = 0

    def to_json(self) -> dict[str, object]:
        return {
            "status": self.status,
            "path": self.path,
            "sha256": self.sha256,
            "files": self.files,
            "reason": None if self.reason is None else said(self.reason),
            "skipped": self.skipped,
        }


@dataclass(frozen=True, slots=True)
class Mapped:
    """What a table of respondents did: how many files it named, and what it names in vain."""

    matched: int
    unmatched: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        return {
            "matched": self.matched,
            "unmatched": list(self.unmatched[:MAX_UNMATCHED]),
            "unmatched_count": len(self.unmatched),
        }


def clean_path(path: str) -> str:
    """A relative path with ``/`` and without steps upward. Raises :class:`InvalidRequest`."""
    parts = [p for p in path.replace("\\", "/").split("/") if p not in ("", ".", "..")]
    cleaned = "/".join(parts).replace("\x00", "")
    if not cleaned or len(cleaned) > 1000:
        raise InvalidRequest("Expected a file path of 1 to 1000 characters.", field="path")
    return cleaned


def path_hash(group_id: int, path: str, sha256: str) -> str:
    """What makes a sent file the same file: its group, its path and its content."""
    return hashlib.sha256(f"{group_id}\n{path}\n{sha256}".encode()).hexdigest()
