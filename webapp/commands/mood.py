"""``python -m webapp.cli mood``: what an administrator needs for the mood stream's webhooks."""

from __future__ import annotations

import click

from webapp.mood.webhooks import DeliveryError, Webhooks
from webapp.settings import Settings


@click.group()
def mood() -> None:
    """The mood stream's webhooks."""


@mood.command("test-webhooks")
def test_webhooks() -> None:
    """Send one signed test message to every configured address, once each.

    Ends with status 1 when one of them did not take it.
    """
    webhooks = Webhooks(Settings.from_environment(), start=lambda call: call())
    if not webhooks.outboxes:
        raise click.ClickException("No address is configured. Set MIEN_MOOD_WEBHOOKS.")
    failed = False
    for outbox in webhooks.outboxes:
        try:
            outbox.send(webhooks.message("test", {"message": "A test from Mien."}))
        except DeliveryError as error:
            failed = True
            click.echo(f"{outbox.address}: {error}")
        else:
            click.echo(f"{outbox.address}: taken")
    if failed:
        raise SystemExit(1)
