"""How a worker logs: standard library only, because a worker has to be ready soon."""

from __future__ import annotations

import faulthandler
import json
import logging
import os
from datetime import datetime, timezone


class JsonLines(logging.Formatter):
    """One JSON object a line, with the names that the web process uses."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "timestamp": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure(level: str, form: str) -> None:
    """Log to standard error; a crash or an abort for hanging leaves a Python traceback there.

    In the form ``json`` what native libraries print by themselves is thrown away, since it would
    break the lines.
    """
    if form != "json":
        logging.basicConfig(level=level, format="%(levelname)s %(name)s[%(process)d] %(message)s")
        faulthandler.enable()
        return
    kept = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    handler = logging.StreamHandler(kept)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler])
    faulthandler.enable(kept)
