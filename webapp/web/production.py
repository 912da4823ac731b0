"""What ``MIEN_PRODUCTION`` refuses: everything that would leave a published server open."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Mapping

from webapp.errors import SettingsError
from webapp.settings import Settings

MIN_SECRET_CHARACTERS = 32
MIN_SECRET_VARIETY = 12  # different characters; a random key of 32 has 20 and more
_ON = {"1", "true", "yes", "on"}


def check_production(settings: Settings, environ: Mapping[str, str] | None = None) -> None:
    """Raise :class:`SettingsError` with a line for each thing that is open, and what to set."""
    if not settings.production:
        return
    faults = list(_open(settings, os.environ if environ is None else environ))
    if faults:
        lines = "\n".join(f"- {fault}" for fault in faults)
        raise SettingsError(f"MIEN_PRODUCTION is set, and this is open:\n{lines}", faults=faults)


def _open(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    if settings.async_mode != "eventlet":
        yield "MIEN_ASYNC_MODE: set it to eventlet; the others do not limit connections."
    key = settings.secret_key
    if len(key) < MIN_SECRET_CHARACTERS or len(set(key)) < MIN_SECRET_VARIETY:
        yield (
            f"MIEN_SECRET_KEY: expected at least {MIN_SECRET_CHARACTERS} random characters, "
            f"received {len(key)}. Make one with: "
            'python -c "import secrets; print(secrets.token_urlsafe(48))"'
        )
    if not settings.require_login:
        yield "MIEN_REQUIRE_LOGIN: set it to true; anybody could read and delete surveys."
    hosts = {name.strip() for name in settings.allowed_hosts.split(",")} - {""}
    if not hosts or "*" in hosts:
        yield (
            "MIEN_ALLOWED_HOSTS: name the hosts of this server, such as mien.example.org; "
            "pages of others could reach it under names of theirs."
        )
    if not (settings.https or settings.trusted_proxies or _only_here(settings.host)):
        yield (
            "MIEN_HTTPS: set it to true, or MIEN_TRUSTED_PROXIES to the number of proxies in front "
            "that speak HTTPS; passwords would cross the network in clear."
        )
    if (settings.media_url or settings.models_url) and not settings.message_queue:
        yield (
            "MIEN_MESSAGE_QUEUE: name the Redis that joins the nodes; each would count its rate "
            "limits and wrong passwords for itself."
        )
    if settings.survey_executor == "celery" and not settings.message_queue:
        yield "MIEN_MESSAGE_QUEUE: name the Redis that Celery workers listen to."
    if settings.worker_sandbox == "off":
        yield (
            "MIEN_WORKER_SANDBOX: set it to require or auto; pictures and uploaded models would be "
            "opened unconfined."
        )
    if not settings.trusted_proxies and not settings.max_connections_per_address:
        yield (
            "MIEN_MAX_CONNECTIONS_PER_ADDRESS: set it above 0; one address could take every "
            "connection."
        )
    if environ.get("FLASK_DEBUG", "").strip().lower() in _ON:
        yield "FLASK_DEBUG: unset it; errors would show the program's inside."


def _only_here(host: str) -> bool:
    """Whether nobody but this machine reaches the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
