"""Starts Mien: patches for the async mode, then makes the application and serves it.

``python wsgi.py`` serves until SIGTERM or SIGINT; ``--https`` serves the local network over HTTPS.
This is the only file that patches anything.
"""

from __future__ import annotations

import os
import warnings

MODE = os.environ.get("MIEN_ASYNC_MODE", "eventlet")

if MODE == "eventlet":  # before everything else: what is imported first keeps blocking sockets
    with warnings.catch_warnings():
        # eventlet announces that it is in maintenance; it is confined to this file on purpose
        warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
        import eventlet
    eventlet.monkey_patch()

import argparse  # noqa: E402
import logging  # noqa: E402
import sys  # noqa: E402
from dataclasses import replace  # noqa: E402

from flask import Flask  # noqa: E402

from webapp.access.setup import print_first_run_link  # noqa: E402
from webapp.app import create_app  # noqa: E402
from webapp.cluster.node import join  # noqa: E402
from webapp.cluster.shared_registry import NodeRegistry, open_registry  # noqa: E402
from webapp.errors import MienError  # noqa: E402
from webapp.inference.client import InferenceService  # noqa: E402
from webapp.models.registry import Registry  # noqa: E402
from webapp.models.services import models_of  # noqa: E402
from webapp.models.startup import start_inference  # noqa: E402
from webapp.monitoring import logs  # noqa: E402
from webapp.monitoring.recent import keep_log  # noqa: E402
from webapp.sandbox import keep_private  # noqa: E402
from webapp.server import websocket_frames  # noqa: E402
from webapp.server.run import choose_port, serve  # noqa: E402
from webapp.server.tls import tls_of  # noqa: E402
from webapp.settings import Settings  # noqa: E402
from webapp.studies.service import studies_of  # noqa: E402
from webapp.survey.service import resume_surveys, surveys_of  # noqa: E402
from webapp.web.secret_key import secret_key  # noqa: E402


def build(settings: Settings) -> tuple[Flask, InferenceService, NodeRegistry]:
    """The application with running inference workers on the active model.

    Raises :class:`MienError` where the settings or the model cannot be used.
    """
    settings = replace(settings, secret_key=secret_key(settings))
    registry = open_registry(settings)
    # by this machine's files alone: a copy that is broken here is no reason to go back everywhere
    inference = start_inference(settings, Registry(settings.models_path))
    return create_app(settings, inference=inference, registry=registry), inference, registry


def read_settings(arguments: list[str] | None = None) -> Settings:
    """The settings of the environment and the command line. Raises :class:`MienError`."""
    parser = argparse.ArgumentParser(prog="python wsgi.py", description=__doc__)
    parser.add_argument(
        "--https",
        action="store_true",
        help="HTTPS with a certificate made here, for every address of this machine "
        "unless MIEN_HOST names one; cameras of other machines need it",
    )
    overrides: dict[str, object] = {}
    if parser.parse_args(arguments).https:
        overrides["https"] = True
        if "MIEN_HOST" not in os.environ:
            overrides["host"] = "0.0.0.0"  # noqa: S104  (what the flag is for)
    return Settings.from_environment(**overrides)


def main() -> int:
    """Serve until told to stop; the exit status."""
    try:
        keep_private()
        settings = read_settings()
        logs.configure(settings)
        keep_log()
        if MODE == "eventlet" and not websocket_frames.install():
            logging.getLogger("mien").warning(
                "This eventlet release was not checked; its WebSockets are slow and unbounded."
            )
        port, tls = choose_port(settings), tls_of(settings)
        app, inference, registry = build(settings)
        resume_surveys(app)
        studies_of(app).keep_sweeping()
        models_of(app).start()
        node = join(app, registry, models_of(app).activation.follow)

        def stop() -> None:
            if node is not None:
                node.leave()
            models_of(app).stop()
            studies_of(app).close()
            surveys_of(app).close()  # what it works on goes back, for others or the next start
            inference.stop()
            registry.close()

        serve(
            app,
            port,
            stop=stop,
            tls=tls,
            ready=lambda url: print_first_run_link(app, url),
        )
    except MienError as error:
        print(f"Mien cannot start: {error.message}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
