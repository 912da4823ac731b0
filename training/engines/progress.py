"""What a long run tells while it goes on: progress on the console and TensorBoard logs."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

LOGS = "logs"


class ConsoleReport:
    """A live line on a terminal; elsewhere a line every ``every_s`` seconds. One per epoch."""

    def __init__(self, every_s: float = 15.0) -> None:
        self.live = sys.stderr.isatty()
        self.every_s = 0.5 if self.live else every_s
        self.last = 0.0
        self.epoch_seconds: list[float] = []

    def __call__(self, news: dict[str, Any]) -> None:
        if news["event"] == "step":
            if time.monotonic() - self.last >= self.every_s:
                self.last = time.monotonic()
                self._step(news)
            return
        self.epoch_seconds.append(news["seconds"])
        left = (news["epochs"] - news["epoch"]) * float(np.mean(self.epoch_seconds[-3:]))
        figures = ", ".join(
            f"{name.removeprefix('val_').replace('_', ' ')} {value:.4f}"
            for name, value in news.items()
            if name.startswith("val_") and value == value  # NaN: no FER+ votes were given
        )
        if self.live:
            click.echo("\r\x1b[2K", nl=False, err=True)
        click.echo(
            f"epoch {news['epoch']}/{news['epochs']} done in {_clock(news['seconds'])} at side "
            f"{news['side']}: loss {news['loss']:.3f}; validation {figures}; "
            f"about {_clock(left)} left"
        )

    def _step(self, news: dict[str, Any]) -> None:
        left = news["epoch_seconds_left"]
        text = (
            f"epoch {news['epoch']}/{news['epochs']} step {news['step']}/{news['steps']} "
            f"loss {news['loss']:.3f} rate {news['rate']:.4f} epoch ends in {_clock(left)}"
        )
        if self.epoch_seconds:
            rest = (news["epochs"] - news["epoch"]) * float(np.mean(self.epoch_seconds[-3:]))
            text += f", all in about {_clock(left + rest)}"
        if self.live:
            click.echo(f"\r\x1b[2K{text}", nl=False, err=True)
        else:
            click.echo(text)


def _clock(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Journal:
    """Passes the news on to the console and to TensorBoard (``RUN/logs``)."""

    def __init__(self, run: Path, console: ConsoleReport, writer: Any) -> None:
        self.run, self.console, self.writer = run, console, writer

    def __call__(self, news: dict[str, Any]) -> None:
        self.console(news)
        if self.writer is None:
            return
        if news["event"] == "step":
            step = (news["epoch"] - 1) * news["steps"] + news["step"]
            for name in ("loss", "rate"):
                self.writer.add_scalar(f"step/{name}", news[name], step)
            return
        for name, value in news.items():
            if name not in ("event", "epoch", "epochs") and value == value:
                self.writer.add_scalar(f"epoch/{name}", value, news["epoch"])
        self.writer.flush()


@contextlib.contextmanager
def journal(run: Path) -> Iterator[Journal]:
    """Open the journal of a run; without tensorboard installed there are no logs."""
    try:
        from tensorboard.summary import Writer
    except ImportError:
        click.echo("tensorboard is not installed: no logs for it.", err=True)
        writer = None
    else:
        # a resumed run gets its own file beside the earlier ones; TensorBoard joins them
        writer = Writer(str(run / LOGS))
    try:
        yield Journal(run, ConsoleReport(), writer)
    finally:
        if writer is not None:
            with contextlib.suppress(OSError):  # a full disk must not hide the run's own error
                writer.close()
