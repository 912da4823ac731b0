"""``python -m webapp.models.verify MODELS_DIR VERSION``: :meth:`Registry.verify` for the server.

Prints one JSON object: the report, or the error in its one shape.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from webapp.errors import MienError
from webapp.models.registry import Registry

NICENESS = 10


def main(arguments: list[str]) -> int:
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    try:
        report: dict[str, Any] = Registry(Path(arguments[0])).verify(arguments[1])
    except MienError as error:
        report = error.to_json()
    except OSError as error:
        report = MienError(f"A file cannot be read: {error.strerror}.").to_json()
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
