"""The server's clock set forward and back by an hour under cameras, an analysis and a login.

libfaketime (Debian: ``apt-get install faketime``) gives the server and its workers a time of day
that can be set. The monotonic clock is left alone, as a real step leaves it alone.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import requests

from bench.support.fault_services import done, ended
from bench.support.fault_world import (
    TIMEOUT_S,
    Row,
    World,
    analyse,
    code_of,
    counted,
    pictures,
    survey,
)
from bench.support.scenes import frames_of_a_face
from bench.support.server import RunningServer, running_server
from bench.support.services import Missing
from bench.support.witness import Witness, until

FAULT = "clock of the server steps"
PER_MINUTE = 20
PASSWORD = "only for this measurement"


class Clock:
    """The server's time of day. Raises :class:`Missing` where libfaketime is not installed.

    It begins half an hour before midnight (UTC), so that an hour forward is another date.
    """

    def __init__(self, folder: Path) -> None:
        found = sorted(Path("/usr/lib").glob("**/faketime/libfaketime.so.1"))
        if not found:
            raise Missing("needs faketime: libfaketime is not installed")
        self._file = folder / "clock"
        now = datetime.now(timezone.utc)
        self._start = now.replace(hour=23, minute=30, second=0) - now
        self.set(0)
        self.environment = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",  # the name before libfaketime 0.9.7
            "NO_FAKE_STAT": "1",
        }

    def set(self, hours: float) -> None:
        """Set it to so many hours from what would be right."""
        offset_s = (self._start + timedelta(hours=hours)).total_seconds()
        new = self._file.with_suffix(".new")
        new.write_text(f"{offset_s:+.0f}\n", encoding="ascii")
        new.replace(self._file)  # never read half written

    @property
    def tomorrow(self) -> str:
        """The date that the server takes for tomorrow, before any step."""
        date = datetime.now(timezone.utc) + self._start + timedelta(days=1)
        return date.date().isoformat()


class Administrator:
    """A browser in which the administrator is logged in, and a token of hers."""

    def __init__(self, server: RunningServer) -> None:
        self._url, self._browser = server.url, requests.Session()
        link = r"(http\S+)admin/setup#(\S+)"
        until(lambda: re.search(link, "".join(server.output)), "the link to set up")
        found = re.search(link, "".join(server.output))
        assert found is not None
        form = {"token": found[2], "password": PASSWORD, "again": PASSWORD}
        form["csrf_token"] = self._csrf("admin/setup")
        answer = self._browser.post(f"{self._url}admin/setup", form, timeout=TIMEOUT_S)
        answer.raise_for_status()
        body = {"name": "clock", "scopes": ["status:read"], "days": 1}
        made = self._browser.post(
            f"{self._url}admin/api/tokens",
            json=body,
            headers={"X-CSRFToken": self._csrf("admin/account")},
            timeout=TIMEOUT_S,
        )
        made.raise_for_status()
        self._bearer = {"Authorization": f"Bearer {made.json()['token']}"}

    def _csrf(self, path: str) -> str:
        page = self._browser.get(self._url + path, timeout=TIMEOUT_S).text
        found = re.search(r'name="csrf[_-]token" (?:value|content)="([^"]+)"', page)
        if found is None:
            raise RuntimeError(f"{path} carries no CSRF token")
        return found[1]

    def session(self) -> str:
        """What a page behind the login answers; 302 leads to the login."""
        page = self._browser.get(
            f"{self._url}admin/account", timeout=TIMEOUT_S, allow_redirects=False
        )
        return code_of(page)

    def token(self) -> str:
        status = requests.get(
            f"{self._url}admin/api/status", headers=self._bearer, timeout=TIMEOUT_S
        )
        return code_of(status)


def swept(world: World, name: str) -> None:
    """Wait until the runner has looked for what is to be deleted: an orphan of ours goes then."""
    orphan = world.folder / "surveys" / name
    orphan.mkdir(parents=True)
    until(lambda: not orphan.exists(), "a look for pictures past their date", TIMEOUT_S)


def limited(url: str) -> int:
    """Use up the portion of requests for a minute; after how many seconds to come again."""
    for _ in range(2 * PER_MINUTE):
        answer = requests.post(f"{url}api/v1/analyze", frames_of_a_face()[0], timeout=TIMEOUT_S)
        if answer.status_code == 429:
            return int(answer.headers["Retry-After"])
    raise RuntimeError("no request was one too many")


def picture_of(url: str, survey_id: str) -> str:
    """What a picture that the survey keeps is answered with."""
    path = f"api/v1/surveys/{survey_id}/files/1/picture"
    return code_of(requests.get(url + path, timeout=TIMEOUT_S))


def server_clock(world: World, clock: Clock) -> Row:
    url, number = world.url, 8 if world.short else 60
    who = Administrator(world.server)
    kept = survey(url, pictures(number), keep_until=clock.tomorrow)
    other = survey(url, pictures(number), "Other")
    seen: dict[str, Any] = {}
    since = time.monotonic()

    def step(name: str, hours: float, analysed: str, more: Callable[[], None]) -> None:
        analyse(url, analysed)
        until(lambda: done(url, analysed) > 0, "the first picture", TIMEOUT_S)
        clock.set(hours)
        world.go_on()
        seen[name] = {"session": who.session(), "token": who.token()}
        more()
        until(lambda: ended(url, analysed), "the end of the analysis", TIMEOUT_S)

    waits: list[int] = []
    step("forward", 1, kept, lambda: waits.append(limited(url)))
    swept(world, "0" * 32)
    seen["kept"] = picture_of(url, kept)
    step("back", -1, other, lambda: waits.append(limited(url)))
    swept(world, "1" * 32)
    counts = [counted(url, survey_id) for survey_id in (kept, other)]
    world.go_on()
    row = world.row(
        FAULT,
        "the time of day jumps forward by an hour past midnight, then back by two, each in the "
        f"middle of an analysis of {number} pictures",
        since,
        note=f"A login and a token: {told(seen['forward'])} after the first jump, "
        f"{told(seen['back'])} after the second; who asked too often was told to wait for "
        f"{waits[0]} s and {waits[1]} s; a picture kept until that midnight: {seen['kept']}; "
        f"{' and '.join(f'{used} of {all_}' for used, all_ in counts)} pictures counted once",
    )
    good = (
        all(set(seen[name].values()) == {"200"} for name in ("forward", "back"))
        # limits go by the time of day: two hours back lengthen the one in force by as much
        and 0 <= waits[0] <= 60
        and 0 <= waits[1] <= 60 + 2 * 3600
        and seen["kept"] == "200"
        and counts == [(number, number)] * 2
    )
    return replace(row, ok=row.ok and good)


def told(codes: Mapping[str, str]) -> str:
    return " and ".join(codes.values())


def with_clock(folder: Path, settings: Mapping[str, str], short: bool) -> Row:
    """Raises :class:`Missing`."""
    clock = Clock(folder)
    environment = {
        **settings,
        **clock.environment,
        "MIEN_INSTANCE_DIR": str(folder),
        "MIEN_API_RATE_PER_MINUTE": str(PER_MINUTE),
        "MIEN_SURVEY_SWEEP_S": "1",
    }
    with running_server(environment) as server, Witness(server.url) as memory:
        world = World(server, memory, folder, short, int(settings["MIEN_WORKERS"]))
        return server_clock(world, clock)
