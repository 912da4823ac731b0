"""``python PATH/probe.py HOST PORT``: asks ``/healthz`` all the time; a line for each answer.

A line is the moment in seconds of the system's monotonic clock and the milliseconds that the answer
took. A process of its own, because who sends megabytes cannot measure milliseconds beside it.
"""

from __future__ import annotations

import http.client
import sys
import time

EVERY_S = 0.01


def main(host: str, port: int) -> None:
    connection = http.client.HTTPConnection(host, port, timeout=120)
    while True:
        began = time.monotonic()
        try:
            connection.request("GET", "/healthz")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            connection.close()
            time.sleep(EVERY_S)
            continue
        print(f"{began:.6f} {(time.monotonic() - began) * 1000:.3f}", flush=True)
        time.sleep(EVERY_S)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
