"""Runs a module that reads the database in a process of its own and prints JSON.

For what computes for seconds, which a server's event loop cannot wait for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any, Final

from webapp import ROOT
from webapp.errors import MienError

_POLL_S: Final = 0.03


def json_from_process(
    module: str, arguments: Sequence[str], database: str, longest_s: float
) -> dict[str, Any]:
    """What ``python -m module arguments`` prints; ``database`` is its ``DATABASE_URL``.

    Raises :class:`MienError` after ``longest_s`` seconds, and with its last line where it fails.
    """
    command = [sys.executable, "-m", module, *arguments]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MIEN_")}
    environment |= {"DATABASE_URL": database, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as log:
        child = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=out, stderr=log)
        until = time.monotonic() + longest_s
        try:
            while child.poll() is None:  # waits in turns with other requests
                if time.monotonic() > until:
                    raise MienError(f"The report took longer than {longest_s:.0f} s.")
                time.sleep(_POLL_S)
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
        if child.returncode:
            log.seek(0)
            last = log.read().decode("utf-8", "replace").strip().splitlines()[-1:] or ["no message"]
            raise MienError(f"The report could not be made: {last[0][:300]}")
        out.seek(0)
        loaded: dict[str, Any] = json.loads(out.read())
        return loaded
