"""Where a program of ``bench`` leaves what it measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def write_report(report: object, target: str) -> None:
    """Writes ``report`` as JSON to the file ``target``; "-" is standard output."""
    text = json.dumps(report, indent=2) + "\n"
    if target == "-":
        sys.stdout.write(text)
    else:
        Path(target).write_text(text, encoding="utf-8")


def rounded(value: Any) -> Any:
    """``value`` with every number in it to a thousandth."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    return value
