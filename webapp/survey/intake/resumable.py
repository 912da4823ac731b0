"""Large files in parts: resumed after a dropped connection or a reload without sending bytes twice.

A browser cuts a large ZIP or video into parts of ``part_bytes`` and names the SHA-256 of each. A
part is written under its number once its bytes have that hash, so that a part that is there is
whole; everything else is sent again. The file's identity is its group, path, size and the hashes
of its parts, and so a page that was reloaded finds its upload again from the same file. When all
parts are there they are read one after another into the way that every file takes
(:meth:`webapp.survey.intake.uploads.Uploads.receive`), which hashes, checks and unpacks.

On origins that are not secure a browser cannot hash; then the time of the file's last change takes
the hashes' place, and only lengths are checked.

A folder for each upload, below the survey's ``incoming`` and so deleted with its pictures::

    parts/<key>/meta.json   what was announced
    parts/<key>/00000       the first part, and so on
    parts/<key>/receipt.json what became of it; the parts are gone then
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from webapp.errors import Conflict, InvalidRequest, NotFound, PartDamaged
from webapp.files import atomic
from webapp.files import kinds as media
from webapp.files.storage import remove_tree
from webapp.settings import Settings
from webapp.survey.catalog import Catalog
from webapp.survey.intake.receipts import Receipt, Source, clean_path
from webapp.survey.intake.uploads import Uploads
from webapp.survey.removal import told_if_gone

MAX_OPEN = 32
_BLOCK = 1 << 18
_HASH = re.compile(r"[0-9a-f]{64}")
_KEY = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Announced:
    """What a browser says of a large file before it sends it; ``hashes`` None where it cannot."""

    path: str
    group: str
    size: int
    part_bytes: int
    hashes: tuple[str, ...] | None
    modified: str = ""

    @property
    def count(self) -> int:
        return -(-self.size // self.part_bytes)

    @property
    def key(self) -> str:
        """The name of the upload: the same for the same file in the same place."""
        same = json.dumps([self.path, self.group, self.size, self.part_bytes, self.hashes])
        return hashlib.sha256(f"{same}\n{self.modified}".encode()).hexdigest()[:40]

    def length(self, number: int) -> int:
        """Bytes of part ``number``: all but the last are whole."""
        return min(self.part_bytes, self.size - number * self.part_bytes)


@dataclass(frozen=True, slots=True)
class Opened:
    """An announced upload: ``have`` are the numbers of the parts that need not be sent."""

    key: str
    have: tuple[int, ...]
    receipt: Receipt | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "upload": self.key,
            "have": list(self.have),
            "receipt": None if self.receipt is None else self.receipt.to_json(),
        }


def read_announcement(body: Mapping[str, Any], settings: Settings) -> tuple[Announced, bytes]:
    """What was announced, and the file's first bytes. Raises :class:`InvalidRequest`."""
    part_bytes, size = body.get("part_bytes"), body.get("size")
    if part_bytes != settings.survey_part_bytes:
        raise InvalidRequest(
            f"Expected parts of {settings.survey_part_bytes} bytes. Received {part_bytes!r}; "
            "load the page again.",
            field="part_bytes",
        )
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise InvalidRequest("Expected the file's size in bytes.", field="size")
    hashes = body.get("hashes")
    count = -(-size // int(part_bytes))
    if hashes is not None and not (
        isinstance(hashes, list)
        and len(hashes) == count
        and all(isinstance(one, str) and _HASH.fullmatch(one) for one in hashes)
    ):
        raise InvalidRequest(
            f"Expected the SHA-256 of each of the {count} parts in hexadecimal.", field="hashes"
        )
    try:
        head = bytes.fromhex(str(body.get("head", "")))
    except ValueError:
        raise InvalidRequest("Expected the first bytes in hexadecimal.", field="head") from None
    announced = Announced(
        clean_path(str(body.get("path", ""))),
        str(body.get("group", "")),
        size,
        int(part_bytes),
        None if hashes is None else tuple(hashes),
        str(body.get("modified", ""))[:40] if hashes is None else "",
    )
    return announced, head[: media.HEAD_BYTES]


class PartReader:
    """The parts of an upload as one stream."""

    def __init__(self, files: list[Path]) -> None:
        self._files = files
        self._open: Any = None

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, at most ``size``; none at the end."""
        time.sleep(0)  # reading a disk never yields by itself
        while True:
            if self._open is None:
                if not self._files:
                    return b""
                self._open = self._files.pop(0).open("rb")
            data: bytes = self._open.read(size)
            if data:
                return data
            self.close()

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


class Parts:
    """The large uploads of a catalog's surveys."""

    def __init__(self, catalog: Catalog, uploads: Uploads, settings: Settings) -> None:
        self._catalog = catalog
        self._uploads = uploads
        self._settings = settings
        self._announcing = threading.Lock()  # as many are open as were counted
        self._finishing: dict[str, threading.Lock] = {}

    def _folder(self, survey_id: str, key: str = "") -> Path:
        return self._catalog.folders.incoming(survey_id) / "parts" / key

    def announce(self, survey_id: str, announced: Announced, head: bytes) -> Opened:
        """Open an upload or find it again.

        A file that could never be used is refused, with its row in the ledger, before a byte of it
        is sent. Raises what :meth:`Uploads.receive` raises, and :class:`Conflict` when too many
        uploads are unfinished.
        """
        self._uploads.check_open(survey_id)
        folder = self._folder(survey_id, announced.key)
        receipt = _read_receipt(folder)
        if receipt is not None:
            return Opened(announced.key, (), receipt)
        refusal = self._uploads.refusal(head, announced.size)
        if refusal is not None:
            return Opened(
                announced.key,
                (),
                self._uploads.refuse(survey_id, announced.group, announced.path, refusal),
            )
        with self._announcing:
            if not (folder / "meta.json").exists():
                self._make_room(survey_id, announced)
                folder.mkdir(parents=True, exist_ok=True)
                atomic.write(folder / "meta.json", json.dumps(asdict(announced)).encode())
        return Opened(announced.key, _present(folder, announced))

    def _make_room(self, survey_id: str, announced: Announced) -> None:
        root = self._folder(survey_id)
        root.mkdir(parents=True, exist_ok=True)
        unfinished = sum(not (one / "receipt.json").exists() for one in root.iterdir())
        if unfinished >= MAX_OPEN:
            raise Conflict(
                f"Expected at most {MAX_OPEN} unfinished large files in one survey; let some of "
                "them end first."
            )
        # the parts and the file that is put together from them lie side by side for a moment
        self._uploads.reserve.check(2 * announced.size)
        self._uploads.check_room(self._uploads.check_open(survey_id), announced.size)

    def put(self, survey_id: str, key: str, number: int, source: Source) -> int:
        """Store one part; how many are there now.

        Raises :class:`NotFound` for an upload that was never announced or is cleaned up,
        :class:`InvalidRequest` for a number that is none of its parts, and :class:`PartDamaged`
        when the bytes are not those that were announced (a connection that dropped, for example).
        """
        with told_if_gone(lambda: self._find(survey_id, key)):
            return self._put(survey_id, key, number, source)

    def _put(self, survey_id: str, key: str, number: int, source: Source) -> int:
        folder, announced = self._find(survey_id, key)
        if not 0 <= number < announced.count:
            raise InvalidRequest(
                f"Expected a part from 0 to {announced.count - 1}. Received {number}.", field="part"
            )
        final = folder / f"{number:05}"
        if not final.exists():
            expected = announced.length(number)
            temporary = folder / f"{final.name}.{secrets.token_hex(4)}"
            digest, size = hashlib.sha256(), 0
            try:
                with temporary.open("wb") as target:
                    while size <= expected and (block := source.read(_BLOCK)):
                        size += len(block)
                        digest.update(block)
                        self._uploads.reserve.check(len(block))
                        target.write(block)
                named = None if announced.hashes is None else announced.hashes[number]
                if size != expected or named not in (None, digest.hexdigest()):
                    raise PartDamaged(
                        f"Part {number} did not arrive as announced ({size} of {expected} bytes); "
                        "send it again.",
                        part=number,
                    )
                temporary.replace(final)
            finally:
                temporary.unlink(missing_ok=True)
        return len(_present(folder, announced))

    def finish(self, survey_id: str, key: str) -> Receipt:
        """Put the file together and take it like every other; asked again, the same receipt.

        Raises :class:`Conflict` when parts are missing, else as :meth:`Uploads.receive`.
        """
        self._catalog.get(survey_id)
        if not _KEY.fullmatch(key) or not self._folder(survey_id, key).is_dir():
            raise _no_such_upload()
        with self._once(key), told_if_gone(lambda: self._find(survey_id, key)):
            receipt = _read_receipt(self._folder(survey_id, key))
            if receipt is not None:
                return receipt
            folder, announced = self._find(survey_id, key)
            present = _present(folder, announced)
            if len(present) < announced.count:
                raise Conflict(
                    f"{announced.count - len(present)} of {announced.count} parts are missing; "
                    "send them first.",
                    have=list(present),
                )
            reader = PartReader([folder / f"{number:05}" for number in present])
            try:
                receipt = self._uploads.receive(survey_id, announced.group, announced.path, reader)
            finally:
                reader.close()
            atomic.write(folder / "receipt.json", json.dumps(asdict(receipt)).encode())
            for number in present:
                (folder / f"{number:05}").unlink(missing_ok=True)
            return receipt

    def abandon(self, survey_id: str, key: str) -> None:
        """Delete an upload that will not go on. Raises :class:`NotFound`."""
        folder, _ = self._find(survey_id, key)
        remove_tree(folder)

    def _find(self, survey_id: str, key: str) -> tuple[Path, Announced]:
        self._uploads.check_open(survey_id)
        folder = self._folder(survey_id, key)
        if _KEY.fullmatch(key):
            try:
                meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
                hashes = meta.pop("hashes")
                return folder, Announced(**meta, hashes=None if hashes is None else tuple(hashes))
            except FileNotFoundError:
                pass
        raise _no_such_upload()

    @contextmanager
    def _once(self, key: str) -> Iterator[None]:
        lock = self._finishing.setdefault(key, threading.Lock())
        with lock:
            yield
        self._finishing.pop(key, None)


def _no_such_upload() -> NotFound:
    return NotFound("There is no such upload; it may have been cleaned up. Send the file again.")


def _present(folder: Path, announced: Announced) -> tuple[int, ...]:
    return tuple(number for number in range(announced.count) if (folder / f"{number:05}").exists())


def _read_receipt(folder: Path) -> Receipt | None:
    try:
        return Receipt(**json.loads((folder / "receipt.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
