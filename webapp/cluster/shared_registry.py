"""The registry of a node that shares its models: one ACTIVE for all, and a copy of each version.

Without ``models_url`` the folder ``models_dir`` is all there is. With it, the store at that URL
holds the truth: what this node activates goes there first, and what others activated is copied from
there into ``models_dir``, checked, before it can serve.
"""

from __future__ import annotations

import logging
import secrets
from pathlib import Path
from typing import Final

from webapp.card import CARD_FILE
from webapp.errors import Conflict, MienError, ModelInvalid, NotFound
from webapp.files.remote_store import RemoteStore
from webapp.files.storage import remove_tree
from webapp.models.registry import ACTIVE_FILE, HISTORY_FILE, ModelVersion, Registry
from webapp.models.verify import check_files
from webapp.settings import Settings
from webapp.web.message_queue import RedisTrouble, connect, message_queue

_log = logging.getLogger(__name__)
NOTICE_CHANNEL: Final = "mien-model"
_MIRRORED: Final = (ACTIVE_FILE, HISTORY_FILE)


class NodeRegistry(Registry):
    """A :class:`Registry` that tells other nodes of an activation and takes theirs over.

    ``remote`` is the shared store or None; ``queue`` the URL of the Redis that carries notices,
    or "". A notice only makes others look sooner.
    """

    def __init__(self, models_dir: Path | str, remote: RemoteStore | None, queue: str = "") -> None:
        super().__init__(models_dir)
        self._remote = remote
        self._queue = queue

    def close(self) -> None:
        if self._remote is not None:
            self._remote.close()

    def get(self, version: str) -> ModelVersion:
        """As :meth:`Registry.get`; a version that only the shared store has is copied first."""
        try:
            return super().get(version)
        except (NotFound, ModelInvalid):
            if self._remote is None or not self._fetch(version):
                raise
        return super().get(version)

    def verified_folder(self, version: str) -> Path:
        """The folder of a version whose files have the hashes of its card.

        A damaged copy is fetched once more. Raises :class:`NotFound` or :class:`ModelInvalid`.
        """
        found = self.get(version)
        try:
            check_files(found.folder, found.card)
        except ModelInvalid:
            if self._remote is None or not self._fetch(version):
                raise
            found = super().get(version)
        return found.folder

    def remove(self, version: str) -> None:
        """As :meth:`Registry.remove`, from the shared store too; copies that other nodes have made
        stay there.
        """
        if self._remote is not None:
            self._check_removable(version)
            if version == self.wanted():
                raise Conflict(f"{version} is active; activate another one first.")
            self._remote.remove_tree(version)  # first: whoever looks for it copies it from there
        super().remove(version)

    def wanted(self) -> str | None:
        """The name that all nodes shall serve; None without a shared store, and where none was
        activated anywhere.

        Raises :class:`StorageUnavailable` where the shared store is away.
        """
        if self._remote is None:
            return None
        try:
            return self._first(self._remote.read_text(ACTIVE_FILE).split())
        except FileNotFoundError:
            return None

    def adopt(self, version: str) -> None:
        """Write down that this node serves ``version`` now, as the shared store says."""
        if self._remote is None:
            return
        for name in _MIRRORED:
            try:
                lines = self._remote.read_text(name).split()
            except FileNotFoundError:
                continue
            super()._write(name, [version] if name == ACTIVE_FILE else lines)

    def share(self) -> None:
        """Put this node's active version into a shared store that has none: the first node does."""
        active = self._first(self._lines(ACTIVE_FILE))
        if self._remote is not None and active is not None and self.wanted() is None:
            self._push(active)
            self._remote.write_text(ACTIVE_FILE, f"{active}\n")

    def _write(self, name: str, lines: list[str]) -> None:
        """The shared store first: a node must never serve what it could not share."""
        if self._remote is not None and name in _MIRRORED:
            if name == ACTIVE_FILE:
                self._push(lines[0])
            self._remote.write_text(name, "".join(f"{line}\n" for line in lines))
        super()._write(name, lines)
        if name == ACTIVE_FILE and self._queue:
            self._announce(lines[0])

    def _announce(self, version: str) -> None:
        try:
            connect(self._queue).publish(NOTICE_CHANNEL, version)
        except RedisTrouble:
            return  # they look every few seconds anyway

    def _push(self, version: str) -> None:
        """Copy a version to the shared store, its card last: with a card it is whole."""
        assert self._remote is not None  # noqa: S101 - callers asked
        found = super().get(version)
        if self._remote.exists(f"{version}/{CARD_FILE}"):
            return
        names = sorted(path.name for path in found.folder.iterdir() if path.is_file())
        for name in [*(n for n in names if n != CARD_FILE), CARD_FILE]:
            self._remote.put(found.folder / name, f"{version}/{name}")

    def _fetch(self, version: str) -> bool:
        """Copy a version from the shared store; False where it has none of that name.

        Raises :class:`ModelInvalid` where its files do not have the hashes of its card.
        """
        assert self._remote is not None  # noqa: S101 - callers asked
        if "/" in version or version.startswith("."):
            return False
        if not self._remote.exists(f"{version}/{CARD_FILE}"):
            return False
        incoming = self.models_dir / f".incoming-{secrets.token_hex(4)}"
        staging = incoming / version
        staging.mkdir(parents=True)
        try:
            for name in self._remote.files(version):
                if "/" not in name:
                    self._remote.get(f"{version}/{name}", staging / name)
            arrived = Registry(incoming).get(version)
            check_files(arrived.folder, arrived.card)
            target = self.models_dir / version
            if target.exists():
                target.rename(incoming / "replaced")
            staging.rename(target)
        finally:
            remove_tree(incoming)
        return True

    @staticmethod
    def _first(lines: list[str]) -> str | None:
        return lines[0] if lines else None


def open_registry(settings: Settings) -> NodeRegistry:
    """The registry that the settings name; the first node puts its active model into the store.

    Where the store is away or what it has is damaged, this machine's own models are used.
    """
    remote = RemoteStore(settings.models_url) if settings.models_url else None
    registry = NodeRegistry(settings.models_path, remote, message_queue(settings))
    if remote is not None:
        settings.models_path.mkdir(parents=True, exist_ok=True)
        try:
            registry.share()
            wanted = registry.wanted()
            if wanted is not None:
                registry.verified_folder(wanted)
                registry.adopt(wanted)
        except (MienError, OSError) as error:
            reason = error.message if isinstance(error, MienError) else str(error)
            _log.error("The models of the other nodes are not at hand, ours serve: %s", reason)
    return registry
