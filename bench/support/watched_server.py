"""``python PATH/watched_server.py FILE``: runs ``wsgi.py`` of this folder and watches its loop.

FILE holds one double: the longest time in ms, in processor time of the loop's own thread, that one
turn of the event loop took since somebody last wrote 0 there. It imports nothing of this program,
so that it runs other versions of it, too.
"""

from __future__ import annotations

import mmap
import runpy
import struct
import sys
import time
import warnings
from pathlib import Path

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    import eventlet
eventlet.monkey_patch()


def watch(path: str) -> None:
    with Path(path).open("r+b") as stream:
        kept = mmap.mmap(stream.fileno(), 8)
    while True:
        before = time.thread_time()
        eventlet.sleep(0.002)
        held_ms = (time.thread_time() - before) * 1000
        if held_ms > struct.unpack_from("d", kept)[0]:
            struct.pack_into("d", kept, 0, held_ms)


if __name__ == "__main__":
    eventlet.spawn(watch, sys.argv[1])
    sys.path[0] = str(Path.cwd())
    sys.argv = ["wsgi.py"]
    runpy.run_path("wsgi.py", run_name="__main__")
