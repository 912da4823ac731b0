"""``python -m bench.faults --json -``: what goes wrong, what the user sees, what is lost.

Every case runs against the real server with real workers. A witness looks into a camera all the
time; a row says what it saw. ``--markdown FILE`` writes the table; status 1 where a row is not ok.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
import psutil

from bench.support import fault_clock, fault_live, fault_services, fault_storage
from bench.support.fault_world import Row, World, ended_early, not_tried
from bench.support.output import write_report
from bench.support.server import running_server
from bench.support.services import Missing
from bench.support.witness import Witness

WORKERS = 2
OTHERS = (
    (fault_clock.FAULT, fault_clock.with_clock),
    *fault_storage.CASES,
    *fault_services.CASES,
)
SETTINGS = {
    "MIEN_WORKERS": str(WORKERS),
    "MIEN_WORKER_HANG_MS": "2000",
    "MIEN_API_RATE_PER_MINUTE": "1000000",
    "MIEN_LOG_LEVEL": "WARNING",
}


def live_rows(short: bool, tell: Callable[[str], None]) -> Iterable[Row]:
    """Every case of :mod:`bench.support.fault_live` against one server, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        settings = SETTINGS | {"MIEN_INSTANCE_DIR": folder}
        with running_server(settings) as server, Witness(server.url) as memory:
            world = World(server, memory, Path(folder), short, WORKERS)
            for case in fault_live.CASES:
                tell(case.__name__)
                try:
                    world.settle()
                    memory.reconnections = 0
                    yield case(world)
                except Exception as error:  # noqa: BLE001 - the others are still worth knowing
                    yield ended_early(case.__name__, error, server.output)


def other_rows(short: bool, tell: Callable[[str], None]) -> Iterable[Row]:
    """Every case that has a server of its own."""
    for name, case in OTHERS:
        tell(name)
        with tempfile.TemporaryDirectory() as folder:
            try:
                yield case(Path(folder), SETTINGS, short)
            except Missing as missing:
                yield not_tried(name, str(missing))
            except Exception as error:  # noqa: BLE001 - the others are still worth knowing
                yield ended_early(name, error)


def run(short: bool, tell: Callable[[str], None] = lambda _name: None) -> dict[str, Any]:
    """All rows with the conditions they were measured under."""
    load_before = psutil.getloadavg()[0]
    rows = [*live_rows(short, tell), *other_rows(short, tell)]
    return {
        "rows": [row.to_json() for row in rows],
        "ok": all(row.ok for row in rows),
        "short": short,
        "conditions": {
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "cores": os.cpu_count(),
            "workers": WORKERS,
            "load_before": round(load_before, 1),
            "load_1min": round(psutil.getloadavg()[0], 1),
            "python": platform.python_version(),
            "worker_hang_ms": int(SETTINGS["MIEN_WORKER_HANG_MS"]),
        },
    }


def markdown(report: dict[str, Any]) -> str:
    """The table as a page of the documentation."""
    told = report["conditions"]
    lines = [
        "# Faults",
        "",
        "Written by `make faults`, which breaks these things on purpose in a running server while",
        "somebody looks into a camera at 10 frames/s. A frame that a dying worker held is answered",
        "with an error; nothing that was stored may be lost.",
        "",
        f"Measured on {told['date']}: {told['cores']} cores, {told['workers']} workers, load "
        f"{told['load_before']} of other work before and {told['load_1min']} at the end, "
        f"Python {told['python']}; a worker counts as hung after "
        f"{told['worker_hang_ms'] / 1000:.0f} s (by default 10 s)."
        + (" The short form: less of everything." if report.get("short") else ""),
        "",
        "| fault | what was done | what the user saw | what was lost | recovery, s |",
        "|---|---|---|---|---|",
    ]
    for row in report["rows"]:
        mark = "" if row["ok"] else " **not as it should be**"
        recovery = "" if row["needs"] else f"{row['recovery_s']:.2f}"
        cells = (row["fault"], row["done"], row["seen"] + mark, row["lost"], recovery)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


@click.command(help=__doc__)
@click.option("--short", is_flag=True, help="Less of everything; what continuous tests run.")
@click.option("--json", "target", help="File for the figures; - is standard output.")
@click.option("--markdown", "page", type=Path, help="File for the table.")
def main(short: bool, target: str | None, page: Path | None) -> None:
    report = run(short, lambda name: click.echo(name, err=True))
    if target:
        write_report(report, target)
    if page is not None:
        page.write_text(markdown(report), encoding="utf-8")
    sys.exit(0 if report["ok"] else 1)


if __name__ == "__main__":
    main()
