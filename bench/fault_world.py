"""What the cases of ``bench.faults`` share: a running server, a witness, and the row they fill."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import requests

from bench.server import RunningServer
from bench.witness import Memory

TIMEOUT_S = 60


@dataclass(frozen=True)
class Row:
    """One line of the table. ``recovery_s`` is 0 where the witness noticed nothing.

    ``lost`` must be "nothing" but for what its fault makes unavoidable; ``ok`` says whether it was.
    """

    fault: str
    done: str
    seen: str
    lost: str
    recovery_s: float
    ok: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"recovery_s": round(self.recovery_s, 2)}


@dataclass
class World:
    """A server under observation; ``short`` asks for less of everything."""

    server: RunningServer
    memory: Memory
    folder: Path
    short: bool
    workers: int

    @property
    def url(self) -> str:
        return self.server.url

    def answers(self) -> int:
        return len(self.memory.answers)

    def settle(self, results: int = 5) -> None:
        """Wait until the witness has had that many results in a row."""
        end = time.monotonic() + TIMEOUT_S
        while not self._good(results):
            if time.monotonic() > end:
                raise TimeoutError("the witness had no results again")
            time.sleep(0.02)

    def _good(self, results: int, since: int = 0) -> bool:
        latest = self.memory.answers[since:][-results:]
        return len(latest) == results and all(code is None for _, code in latest)

    def go_on(self, results: int = 10) -> None:
        """Wait for that many more results, so that what the fault does has time to show."""
        before, end = self.answers(), time.monotonic() + TIMEOUT_S
        while not self._good(results, before):
            if time.monotonic() > end:
                raise TimeoutError("the witness had no results again")
            time.sleep(0.02)

    def row(self, fault: str, done: str, since: float, *, may_lose: int = 0, note: str = "") -> Row:
        """The row of a fault that the witness lived through from ``since`` to now.

        ``may_lose`` is the number of frames that the fault may cost: those that a worker held.
        """
        errors = self.memory.errors(since)
        gap_ms = 1000 * self.memory.longest_gap_s(since)
        lost = sum(errors.values())
        told = ", ".join(f"{count} x {code}" for code, count in sorted(errors.items()))
        seen = f"live: {told or 'no error'}, longest time without a result {gap_ms:.0f} ms"
        unavoidable = lost <= may_lose and "face_lost" not in errors
        return Row(
            fault,
            done,
            f"{seen}. {note}".strip(),
            "nothing" if not lost else f"{lost} live frames, each answered with its error",
            self.memory.recovery_s(since),
            unavoidable and self.memory.reconnections == 0,
        )


Case = Callable[[World], Row]


def survey(url: str, pictures: list[bytes], name: str = "Faults") -> str:
    """A new survey with those pictures, not analysed yet; its id."""
    api = f"{url}api/v1/surveys"
    new = {"name": name, "purpose": "research", "consent": True, "keep_until": "2035-01-31"}
    made = requests.post(api, json=new, timeout=TIMEOUT_S)
    made.raise_for_status()
    survey_id = str(made.json()["id"])
    for number, picture in enumerate(pictures):
        upload(url, survey_id, f"{number}.jpg", picture).raise_for_status()
    return survey_id


def upload(url: str, survey_id: str, path: str, content: bytes) -> requests.Response:
    return requests.put(
        f"{url}api/v1/surveys/{survey_id}/files",
        params={"path": path, "group": "A"},
        data=content,
        timeout=TIMEOUT_S,
    )


def analyse(url: str, survey_id: str) -> int:
    """Start the analysis; the job's number."""
    answer = requests.post(f"{url}api/v1/surveys/{survey_id}/jobs", timeout=TIMEOUT_S)
    answer.raise_for_status()
    return int(answer.json()["id"])


def state_of(url: str, survey_id: str) -> dict[str, Any]:
    """Progress of the newest analysis."""
    answer = requests.get(f"{url}api/v1/surveys/{survey_id}/progress", timeout=TIMEOUT_S)
    answer.raise_for_status()
    state: dict[str, Any] = answer.json()
    return state


def counted(url: str, survey_id: str) -> tuple[int, int]:
    """``(used, uploaded)`` pictures in the survey's ledger."""
    ledger = requests.get(f"{url}api/v1/surveys/{survey_id}", timeout=TIMEOUT_S).json()["ledger"]
    return int(ledger["counts"]["used"]), int(ledger["uploaded"])


def code_of(answer: requests.Response) -> str:
    """An answer in short: its status, and the error's code where there is one."""
    try:
        return f"{answer.status_code} {answer.json()['error']['code']}"
    except (ValueError, KeyError, TypeError):
        return str(answer.status_code)


def worker(world: World) -> psutil.Process:
    """Some inference worker."""
    return world.server.workers()[0]
