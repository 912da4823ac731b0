"""A node serves the model that is active for all: it looks for another one and swaps to it.

It looks every few seconds, and at once when a notice comes over Redis. A version is copied here and
verified before it serves; where that fails the node stays on the version it has, says so in its
state, and tries again at the next look.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from webapp.cluster.shared_registry import NOTICE_CHANNEL, NodeRegistry
from webapp.errors import MienError
from webapp.web.message_queue import RedisTrouble, connect

_log = logging.getLogger(__name__)
RETRY_S = 1.0


class Serving(Protocol):
    """What is needed of the inference service."""

    @property
    def version(self) -> str: ...


# (version, what writes it down here): verifies and loads it in every worker or in none, or raises
Swap = Callable[[str, Callable[[], None]], None]


@dataclass(frozen=True, slots=True)
class ModelState:
    """``serving`` and ``wanted`` are versions; ``problem`` says why they differ, if they do."""

    serving: str
    wanted: str | None
    problem: str | None = None

    @property
    def in_step(self) -> bool:
        return self.problem is None and self.wanted in (None, self.serving)

    def to_json(self) -> dict[str, Any]:
        return {
            "serving": self.serving,
            "wanted": self.wanted,
            "in_step": self.in_step,
            "problem": self.problem,
        }


class ModelFollower:
    """Keeps ``inference`` at what ``registry`` says is active for all nodes, by ``swap``.

    ``after`` is called after each look with the state, for example to report it.
    """

    def __init__(
        self,
        registry: NodeRegistry,
        inference: Serving,
        swap: Swap,
        poll_s: float,
        queue: str = "",
        after: Callable[[ModelState], None] = lambda _state: None,
    ) -> None:
        self._registry = registry
        self._inference = inference
        self._swap = swap
        self._poll_s = poll_s
        self._queue = queue
        self._after = after
        self._wake = threading.Event()
        self._stopping = threading.Event()
        # Acted on when it changes, not whenever it differs: this node's own administrator may be
        # in the middle of a swap, serving what is not written down yet.
        self._acted_on: str | None = inference.version
        self.state = ModelState(inference.version, None)

    def start(self) -> None:
        threading.Thread(target=self._loop, name="model-follower", daemon=True).start()
        if self._queue:
            threading.Thread(target=self._listen, name="model-notices", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()

    def look(self) -> ModelState:
        """Compare, and swap where another version is wanted; the state afterwards."""
        try:
            wanted = self._registry.wanted()
        except (MienError, OSError) as error:
            self.state = ModelState(self._inference.version, self.state.wanted, _reason(error))
            return self.state
        if wanted is None or wanted in (self._inference.version, self._acted_on):
            self._acted_on = wanted
            self.state = ModelState(self._inference.version, wanted)
            return self.state
        try:
            self._registry.verified_folder(wanted)
            self._swap(wanted, lambda: self._registry.adopt(wanted))
        except (MienError, OSError) as error:
            problem = _reason(error)
            if self.state.problem != problem:
                _log.error("Model %s is active but cannot serve here: %s", wanted, problem)
            self.state = ModelState(self._inference.version, wanted, problem)
            return self.state
        _log.info("Model %s serves here now, as another node decided.", wanted)
        self._acted_on = wanted
        self.state = ModelState(self._inference.version, wanted)
        return self.state

    def _loop(self) -> None:
        while not self._stopping.is_set():
            try:
                self._after(self.look())
            except Exception:  # noqa: BLE001 - whatever it is, the next look may go well
                _log.exception("The active model could not be looked for.")
            self._wake.wait(self._poll_s)
            self._wake.clear()

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                client = connect(self._queue)
                with client.pubsub(ignore_subscribe_messages=True) as pubsub:  # type: ignore[no-untyped-call]
                    pubsub.subscribe(NOTICE_CHANNEL)
                    self._wake.set()  # a notice may have been missed
                    while not self._stopping.is_set():
                        if pubsub.get_message(timeout=self._poll_s) is not None:
                            self._wake.set()
            except RedisTrouble as error:
                _log.debug("No notices of models, Redis is away: %s", error)
                time.sleep(RETRY_S)


def _reason(error: BaseException) -> str:
    return error.message if isinstance(error, MienError) else str(error)
