"""Serves an application under eventlet, as wsgi.py does, with a stand-in for inference.

``python -m tests.support.green_mood``: patching cannot be undone, so this is a process of its own.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    import eventlet
eventlet.monkey_patch()

from tests.support.live import FakeInference  # noqa: E402
from webapp.app import create_app  # noqa: E402
from webapp.server.run import choose_port, serve  # noqa: E402
from webapp.settings import Settings  # noqa: E402


def main() -> None:
    settings = Settings.from_environment(port=0, mood_window_ms=500, mood_heartbeat_s=1)
    app = create_app(settings, inference=FakeInference())
    serve(app, choose_port(settings), stop=lambda: None)


if __name__ == "__main__":
    main()
