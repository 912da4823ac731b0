"""Names a server answers to: a page of another site must not reach it under a name of its own.

DNS rebinding points another site's name at our address; the browser then takes that page for ours.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from werkzeug.wrappers import Response

from webapp.settings import Settings

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
_BODY = (
    '{"error": {"code": "host_not_allowed", "message": "This server does not answer to that name. '
    'Its administrator can add it to MIEN_ALLOWED_HOSTS.", "detail": {}}}\n'
)
_HEADERS = {"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff"}
_LOCAL = (".localhost", ".local")


def host_name(host: str) -> str:
    """The name in a ``Host`` header without its port and last dot, in small letters; empty where
    it is none.
    """
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class HostCheck:
    """Refuses, with status 421, every request and socket that names another host.

    Behind proxies of ours every name that they pass on is one. Addresses, ``localhost`` and this
    machine's own name are always ours: nobody else's pages have them. ``*`` among the names of the
    setting allows every name.
    """

    def __init__(self, app: Wsgi, settings: Settings) -> None:
        self._app = app
        names = (name.strip().lower().rstrip(".") for name in settings.allowed_hosts.split(","))
        self._names = {name for name in names if name}
        if not self._names and settings.trusted_proxies:
            self._names = {"*"}  # our proxy answers to its own names only, and passes them on
        own = socket.gethostname().lower()
        self._own = {"localhost", own, own.partition(".")[0], settings.host.lower()}

    def allows(self, host: str) -> bool:
        """Whether a ``Host`` header is one of ours.

        >>> check = HostCheck(lambda environ, start: [], Settings(allowed_hosts=".example.org"))
        >>> [check.allows(host) for host in ("127.0.0.1:5000", "mien.example.org", "evil.test")]
        [True, True, False]
        """
        name = host_name(host)
        if not name:
            return False
        if "*" in self._names or name in self._own or name in self._names or _is_address(name):
            return True
        return name.endswith((*_LOCAL, *(one for one in self._names if one.startswith("."))))

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if self.allows(str(environ.get("HTTP_HOST", ""))):
            return self._app(environ, start)
        return Response(_BODY, 421, _HEADERS, mimetype="application/json")(environ, start)
