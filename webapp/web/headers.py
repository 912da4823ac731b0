"""Response headers that keep the browser to our own scripts, sockets and camera; who asks us."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, request
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import TimestampSigner, URLSafeTimedSerializer
from werkzeug.middleware.proxy_fix import ProxyFix

from webapp.settings import Settings

_HOST = re.compile(r"[A-Za-z0-9.\-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
_PERMISSIONS = (
    "camera=(self), microphone=(), geolocation=(), payment=(), usb=(), display-capture=()"
)


def content_security_policy(host: str) -> str:
    """The policy for pages served as ``host``.

    Sockets to our own host are named because not every browser reads ``'self'`` as ws: too. A
    host header that could not be a host name is left out instead of being echoed.
    """
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return "; ".join(
        (
            "default-src 'self'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data: blob:",
            "media-src 'self' blob: mediastream:",
            f"connect-src 'self'{sockets}",
            "worker-src 'self'",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


class _AnyFuture(TimestampSigner):
    """Signatures grow too old, but none is too young: what the server signed before its clock was
    set back is still its own.
    """

    def unsign(
        self, signed_value: Any, max_age: int | None = None, return_timestamp: bool = False
    ) -> Any:
        value, signed_at = super().unsign(signed_value, return_timestamp=True)
        if max_age is not None and signed_at.timestamp() <= self.get_timestamp():
            super().unsign(signed_value, max_age)
        return (value, signed_at) if return_timestamp else value


def cookie_name(name: str) -> str:
    """The name of a cookie of ours in the present request.

    Over HTTPS it begins with ``__Host-``: browsers take such a cookie from this very host and over
    HTTPS only, so that no other host of the domain, and nobody on the way, plants one.
    """
    return f"__Host-{name}" if request.is_secure else name


class Sessions(SecureCookieSessionInterface):
    """Session cookies that a browser which got them over HTTPS never sends without it."""

    def get_cookie_name(self, app: Flask) -> str:
        return cookie_name(super().get_cookie_name(app))

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        serializer = super().get_signing_serializer(app)
        if serializer is not None:
            serializer.signer = _AnyFuture
        return serializer

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure or super().get_cookie_secure(app)


def believe_proxies(app: Flask, count: int) -> None:
    """Take the caller's address and scheme from the headers that ``count`` proxies of ours added.

    Call it last: it must be what a request meets first. With 0 the headers of anybody who sends
    them change nothing. The host is never taken from a header: our proxies pass ``Host`` on, and
    X-Forwarded-Host reaches us from anybody where a proxy does not overwrite it.
    """
    if count:
        proxied = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=0, x_port=0)
        app.wsgi_app = proxied  # type: ignore[method-assign]


def add_security_headers(app: Flask, settings: Settings) -> None:
    """Set the headers on every response; a view that set one itself keeps its own."""
    # a browser under HSTS lets no user past a certificate it cannot check
    own = settings.https and not settings.tls_certificate
    hsts_s = 0 if own else settings.hsts_s

    @app.after_request
    def set_headers(response: Response) -> Response:
        if hsts_s and request.is_secure:
            response.headers.setdefault("Strict-Transport-Security", f"max-age={hsts_s}")
        for name, value in (
            ("Content-Security-Policy", content_security_policy(request.host)),
            ("Permissions-Policy", _PERMISSIONS),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
            ("Referrer-Policy", "same-origin"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
        ):
            response.headers.setdefault(name, value)
        return response


def allowed_origins(settings: Settings) -> frozenset[str]:
    """The origins of the setting, each as ``scheme://host[:port]`` without a trailing slash."""
    return frozenset(
        origin.strip().rstrip("/").lower()
        for origin in settings.allowed_origins.split(",")
        if origin.strip()
    )


def origin_allowed(
    origin: str | None, environ: Mapping[str, Any], extra: frozenset[str] = frozenset()
) -> bool:
    """Whether a socket may be opened by a page of ``origin``.

    No origin means no browser page asked, which this check is not about. Only the host is
    compared with ours: behind a proxy that ends TLS our own scheme is not the page's.
    """
    if origin is None:
        return True
    if origin.lower() in extra:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:  # for example half an IPv6 address
        return False
    host = str(environ.get("HTTP_HOST", ""))
    return parts.scheme in ("http", "https") and bool(host) and parts.netloc.lower() == host.lower()
