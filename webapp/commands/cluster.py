"""``python -m webapp.cli cluster`` and ``python -m webapp.cli worker``."""

from __future__ import annotations

import json
import os

import click

from webapp.cluster.nodes import Nodes
from webapp.settings import Settings
from webapp.web.message_queue import RedisTrouble, message_queue


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def cluster(as_json: bool) -> None:
    """The web nodes that live now, and whether each serves the active model."""
    queue = message_queue(Settings.from_environment())
    if not queue:
        raise click.ClickException("MIEN_MESSAGE_QUEUE is not set: there is one node only.")
    try:
        nodes = Nodes(queue).all()
    except RedisTrouble as error:
        raise click.ClickException(f"Redis does not answer: {error}") from error
    if as_json:
        click.echo(json.dumps(nodes, indent=2))
        return
    for node in nodes:
        model, workers = node["model"], node["workers"]
        step = "" if model["in_step"] else f", wants {model['wanted']}: {model['problem']}"
        click.echo(
            f"{node['name']}  {model['serving']}{step}  "
            f"{workers['ready']} of {workers['total']} workers ready"
        )


@click.command()
@click.option(
    "--processes", default=0, help="Inference processes; by default what MIEN_WORKERS says."
)
@click.option("--log-level", default="INFO", show_default=True)
def worker(processes: int, log_level: str) -> None:
    """Analyse surveys of web nodes with MIEN_SURVEY_EXECUTOR=celery, until stopped.

    Takes the same settings as the nodes. Start one for each machine.
    """
    if processes:
        os.environ["MIEN_WORKERS"] = str(processes)
    from webapp.cluster.worker_app import app

    arguments = ["worker", "--pool", "threads", "--concurrency", "1", "--loglevel", log_level]
    app.worker_main([*arguments, "--without-gossip", "--without-mingle", "--without-heartbeat"])
