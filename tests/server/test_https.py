"""HTTPS by one flag, with the real server and clients that check the certificate."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
import stat
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from bench.support.server import running_server
from tests.support.live import FakeInference, LiveClient
from tests.support.models import server_environment
from tests.support.pictures import face_frames
from webapp.app import create_app
from webapp.errors import SettingsError
from webapp.server import tls
from webapp.settings import Settings

HSTS = "Strict-Transport-Security"


def test_the_key_is_ours_alone_and_the_certificate_is_kept(tmp_path: Path) -> None:
    first = tls.own_certificate(tmp_path / "tls", "0.0.0.0")
    assert stat.S_IMODE(first.key.stat().st_mode) == 0o600
    before = first.certificate.read_bytes()
    assert tls.own_certificate(tmp_path / "tls", "0.0.0.0").certificate.read_bytes() == before
    der = ssl.PEM_cert_to_DER_cert(before.decode())
    assert first.fingerprint.replace(":", "").lower() == hashlib.sha256(der).hexdigest()


def test_it_is_made_again_for_a_new_address_a_lost_key_and_before_it_expires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def content() -> bytes:
        return tls.own_certificate(tmp_path, "192.0.2.7").certificate.read_bytes()

    seen = {tls.own_certificate(tmp_path, "127.0.0.1").certificate.read_bytes()}
    seen.add(content())
    (tmp_path / tls.KEY).write_bytes(b"not a key")
    seen.add(content())
    (tmp_path / tls.CERTIFICATE).unlink()
    seen.add(content())

    class Later(datetime):
        @classmethod
        def now(cls, zone: object = None) -> datetime:
            return datetime(1, 1, 1, tzinfo=timezone.utc).now(timezone.utc) + timedelta(days=370)

    monkeypatch.setattr(tls, "datetime", Later)
    seen.add(content())
    assert len(seen) == 5


def test_certificates_of_others_are_used_and_checked(tmp_path: Path) -> None:
    made = tls.own_certificate(tmp_path, "127.0.0.1")
    named = {"tls_certificate": str(made.certificate), "tls_key": str(made.key)}
    used = tls.tls_of(Settings(https=True, **named))
    assert used == tls.Tls(made.certificate, made.key, own=False)
    assert tls.tls_of(Settings()) is None
    with pytest.raises(SettingsError, match="together"):
        tls.tls_of(Settings(tls_certificate="a.pem"))
    made.key.write_text("no key")
    assert used is not None
    with pytest.raises(SettingsError, match="PEM"):
        used.context()


@pytest.mark.parametrize(
    ("settings", "scheme", "told"),
    [
        ({}, "https", "max-age=31536000"),
        ({}, "http", None),
        ({"hsts_s": 0}, "https", None),
        # nobody could get past the browser's warning any more
        ({"https": True}, "https", None),
        (
            {"https": True, "tls_certificate": "a.pem", "tls_key": "b.pem"},
            "https",
            "max-age=31536000",
        ),
    ],
)
def test_browsers_are_told_to_insist_on_https_where_that_locks_nobody_out(
    settings: dict[str, object], scheme: str, told: str | None
) -> None:
    app = create_app(Settings(async_mode="threading", **settings), FakeInference())
    answer = app.test_client().get("/healthz", base_url=f"{scheme}://mien.localhost")
    assert answer.headers.get(HSTS) == told


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["eventlet", "threading"])
def test_pages_and_sockets_over_tls(mode: str, tmp_path: Path) -> None:
    environment = server_environment(tmp_path, MIEN_ASYNC_MODE=mode)
    with running_server(environment, arguments=("--https",)) as server:
        port = urlsplit(server.url).port
        assert port is not None
        # connected and silent: must not keep the others from their handshake
        silent = socket.create_connection(("127.0.0.1", port))
        certificate = tmp_path / "instance" / "tls" / tls.CERTIFICATE
        trusting = ssl.create_default_context(cafile=str(certificate))

        async def run(host: str) -> None:
            async with LiveClient(f"https://{host}:{port}", tls=trusting) as client:
                for frame in face_frames()[:4]:
                    assert (await client.frame(frame))["faces"]

        for host in ("127.0.0.1", "localhost", *tls.lan_addresses()[:1]):
            page = requests.get(f"https://{host}:{port}/", verify=certificate, timeout=30)
            assert page.status_code == 200
            assert HSTS not in page.headers
            asyncio.run(run(host))
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(f"https://127.0.0.1:{port}/", timeout=30)
        if mode == "eventlet":
            plain = requests.get(f"http://127.0.0.1:{port}/", timeout=30)
            assert plain.status_code == 400
            assert "https://" in plain.text
        silent.close()
        assert server.stop() == 0
    text = "".join(server.output)
    assert tls.Tls(certificate, certificate, own=True).fingerprint in text
    assert "Traceback" not in text, text
