"""Faults of disk and database, and a server that is told to stop in the middle of everything."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import requests

from bench.support.fault_world import (
    ENDED,
    TIMEOUT_S,
    Row,
    World,
    analyse,
    code_of,
    counted,
    pictures,
    state_of,
    survey,
    upload,
)
from bench.support.server import running_server
from bench.support.services import Missing
from bench.support.witness import Witness, until

TMPFS_MB = 12


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of a few megabytes. Raises :class:`Missing` where we may not mount one."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_MB}m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        raise Missing("needs mount: this user may not mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def disk_full(world: World) -> Row:
    since = time.monotonic()
    survey_id = survey(world.url, pictures(2))
    filler = world.folder / "filler"
    free = os.statvfs(world.folder)
    with filler.open("wb") as target:
        target.write(bytes(max(0, free.f_bavail * free.f_frsize - 100_000)))
    codes = []
    for number in range(8):
        answer = upload(world.url, survey_id, f"more-{number}.jpg", os.urandom(60_000))
        codes.append(code_of(answer))
    page = code_of(requests.get(f"{world.url}surveys/{survey_id}", timeout=TIMEOUT_S))
    filler.unlink()
    freed = time.monotonic()
    again = code_of(upload(world.url, survey_id, "after.jpg", pictures(3)[2]))
    recovery_s = time.monotonic() - freed
    analyse(world.url, survey_id)
    until(lambda: state_of(world.url, survey_id)["state"] in ENDED, "the analysis", TIMEOUT_S)
    used, _ = counted(world.url, survey_id)
    world.go_on()
    row = world.row(
        "disk full",
        f"a disk of {TMPFS_MB} MB is filled while pictures are sent, then room is made",
        since,
        note=f"Uploads: {', '.join(sorted(set(codes)))}; the survey's page: {page}; "
        f"an upload when there was room again: {again}; its analysis used {used} of 3 faces",
    )
    good = "507 storage_full" in codes and {*codes} <= {"200", "507 storage_full"}
    return Row(
        **{
            **row.__dict__,
            "recovery_s": recovery_s,
            "ok": row.ok and good and again == "200" and used == 3,
        }
    )


def database_locked(world: World) -> Row:
    """Longer than a request waits, so that one is refused; another gets its turn."""
    survey_id = survey(world.url, pictures(2))
    held_s = 3.0 if world.short else 18.0
    since = time.monotonic()
    other = sqlite3.connect(world.folder / "mien.db", isolation_level=None, timeout=30)
    codes: list[str] = []

    def send(number: int) -> None:
        codes.append(
            code_of(upload(world.url, survey_id, f"late-{number}.jpg", pictures(9)[number]))
        )

    other.execute("BEGIN EXCLUSIVE")
    threads = [threading.Thread(target=send, args=(number,)) for number in (4, 5)]
    for thread in threads:
        thread.start()
    page = code_of(requests.get(f"{world.url}surveys/{survey_id}", timeout=TIMEOUT_S))
    threads[0].join(held_s)
    time.sleep(max(0.0, held_s - (time.monotonic() - since)))
    other.execute("ROLLBACK")
    other.close()
    freed = time.monotonic()
    for thread in threads:
        thread.join()
    again = code_of(upload(world.url, survey_id, "late-6.jpg", pictures(9)[6]))
    recovery_s = time.monotonic() - freed
    world.go_on()
    row = world.row(
        "database locked",
        f"another program holds SQLite's write lock for {held_s:.0f} s",
        since,
        note=f"A survey's page meanwhile: {page}; uploads meanwhile: {', '.join(sorted(codes))}; "
        f"afterwards: {again}",
    )
    allowed = {"200"} if world.short else {"200", "503 database_unavailable"}
    gap_s = world.memory.longest_gap_s(since)
    good = page == again == "200" and set(codes) <= allowed and gap_s < 1.5
    return Row(**{**row.__dict__, "recovery_s": recovery_s, "ok": row.ok and good})


def told_to_stop(folder: Path, settings: Mapping[str, str], short: bool) -> Row:
    """SIGTERM with cameras and an analysis running; the same folder is served again."""
    number, cameras = (12, 3) if short else (60, 8)
    environment = {**settings, "MIEN_INSTANCE_DIR": str(folder)}
    with running_server(environment) as server:
        survey_id = survey(server.url, pictures(number))
        witnesses = [Witness(server.url) for _ in range(cameras)]
        memories = [witness.__enter__() for witness in witnesses]
        analyse(server.url, survey_id)
        until(lambda: (state_of(server.url, survey_id).get("done") or 0) > 0, "the first picture")
        done = state_of(server.url, survey_id)["done"]
        told = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        status = server.process.wait(TIMEOUT_S)
        ended_s = time.monotonic() - told
        errors = {code for memory in memories for code in memory.errors(told)}
        for witness in witnesses:
            witness.__exit__(None, None, None)
        traces = sum("Traceback" in line for line in server.output)
    with running_server(environment) as server:
        began = time.monotonic()
        until(lambda: state_of(server.url, survey_id)["state"] in ENDED, "the analysis", TIMEOUT_S)
        recovery_s = time.monotonic() - began
        used, uploaded = counted(server.url, survey_id)
    return Row(
        "server told to stop",
        f"SIGTERM with {cameras} cameras and {done} of {number} pictures analysed; started again",
        f"live: {', '.join(sorted(errors)) or 'no error'}; the server ended after "
        f"{ended_s:.1f} s with status {status}; the analysis went on by itself, "
        f"{used} of {uploaded} pictures counted once. Recovery: until the analysis was done",
        "nothing",
        recovery_s,
        status == 0
        and traces == 0
        and used == uploaded == number
        and errors <= {"disconnected", "inference_unavailable"},
    )


def with_full_disk(folder: Path, settings: Mapping[str, str], short: bool) -> Row:
    """Raises :class:`Missing` where no file system may be mounted."""
    with small_disk(folder) as disk:
        return _observed(disk_full, disk, settings, short)


def with_lock(folder: Path, settings: Mapping[str, str], short: bool) -> Row:
    return _observed(database_locked, folder, settings, short)


def _observed(
    case: Callable[[World], Row], folder: Path, settings: Mapping[str, str], short: bool
) -> Row:
    environment = {**settings, "MIEN_INSTANCE_DIR": str(folder)}
    with running_server(environment) as server, Witness(server.url) as memory:
        world = World(server, memory, folder, short, int(settings["MIEN_WORKERS"]))
        return case(world)


CASES: tuple[tuple[str, Callable[[Path, Mapping[str, str], bool], Row]], ...] = (
    ("disk full", with_full_disk),
    ("database locked", with_lock),
    ("server told to stop", told_to_stop),
)
