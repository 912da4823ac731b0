"""What the cases of ``bench.faults`` share: a running server, a witness, and the row they fill."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import requests

from bench.support.scenes import frames_of_a_face, marked
from bench.support.server import RunningServer
from bench.support.witness import Memory, until

TIMEOUT_S = 60
ENDED = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Row:
    """One line of the table. ``recovery_s`` is 0 where the witness noticed nothing.

    ``lost`` must be "nothing" but for what its fault makes unavoidable; ``ok`` says whether it was.
    ``needs`` names what is absent where the fault could not be brought about.
    """

    fault: str
    done: str
    seen: str
    lost: str
    recovery_s: float
    ok: bool
    needs: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"recovery_s": round(self.recovery_s, 2)}


def not_tried(fault: str, reason: str) -> Row:
    """The row of a fault that cannot be brought about here: ``reason`` is as tests skip with."""
    return Row(fault, f"not tried here: {reason}", "", "", 0.0, ok=True, needs=reason)


def ended_early(fault: str, error: Exception, output: Sequence[str] = ()) -> Row:
    """The row of a case that could not go on, with all that says why."""
    trace = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(trace[-1].filename).name}:{trace[-1].lineno})" if trace else ""
    told = f"{type(error).__name__}: {error}{place}"
    said = " / ".join(line.strip() for line in output[-8:])
    seen = f"the case ended early: {told}; the server said last: {said or 'nothing'}"
    return Row(fault, "", seen.replace("|", "/").replace("\n", " "), "unknown", 0.0, ok=False)


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
        self._await(results, 0)

    def _good(self, results: int, since: int = 0) -> bool:
        latest = self.memory.answers[since:][-results:]
        return len(latest) == results and all(code is None for _, code in latest)

    def go_on(self, results: int = 10) -> None:
        """Wait for that many more results, so that what the fault does has time to show."""
        self._await(results, self.answers())

    def _await(self, results: int, since: int) -> None:
        end = time.monotonic() + TIMEOUT_S
        while not self._good(results, since):
            if self.memory.failed or time.monotonic() > end:
                latest = [code or "result" for _, code in self.memory.answers[-results:]]
                raise TimeoutError(
                    f"the witness had no {results} results in a row again; its latest answers: "
                    f"{latest}; it ended with: {self.memory.failed or 'nothing'}"
                )
            time.sleep(0.02)

    def all_ready(self) -> None:
        """Wait until every worker is there and reads pictures."""
        until(self._ready, "all workers", TIMEOUT_S)

    def _ready(self) -> bool:
        told = requests.get(f"{self.url}readyz", timeout=TIMEOUT_S).json()
        workers = told.get("workers", {})
        return bool(workers.get("ready") == workers.get("total") == self.workers)

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


def pictures(number: int) -> list[bytes]:
    """Different pictures with a face each."""
    return [marked(frames_of_a_face()[n % 12], n) for n in range(number)]


def survey(
    url: str, contents: list[bytes], name: str = "Faults", keep_until: str = "2035-01-31"
) -> str:
    """A new survey with those pictures, not analysed yet; its id."""
    api = f"{url}api/v1/surveys"
    new = {"name": name, "purpose": "research", "consent": True, "keep_until": keep_until}
    made = requests.post(api, json=new, timeout=TIMEOUT_S)
    made.raise_for_status()
    survey_id = str(made.json()["id"])
    for number, picture in enumerate(contents):
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
    """Some inference worker; one that is being replaced is waited for."""
    world.all_ready()
    return world.server.workers()[0]
