"""The nginx example itself, in Debian's nginx, before two nodes: what a visitor gets of them."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import socketio
from flask import Flask, request

from bench.support.services import await_port, free_port
from tests.support.data import REPOSITORY
from tests.support.live import JPEG, FakeInference, LiveClient, served
from webapp.app import create_app
from webapp.server.tls import own_certificate
from webapp.settings import Settings

NGINX = shutil.which("nginx")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(NGINX is None, reason="needs nginx: it is not installed"),
]
VISITORS = [f"127.0.0.{number}" for number in range(2, 34)]
HOST = "mien.example.org"


def node(name: str) -> Flask:
    settings = Settings(async_mode="threading", trusted_proxies=1, secret_key="s" * 40)
    app = create_app(settings, FakeInference(version=name))

    @app.get("/api/v1/who")
    def who() -> dict[str, object]:
        return {"address": request.remote_addr, "secure": request.is_secure, "host": request.host}

    return app


@dataclass(frozen=True)
class Proxy:
    """nginx as the example configures it, on free ports."""

    http: int
    https: int
    tls: ssl.SSLContext
    nodes: dict[str, ExitStack]

    def get(
        self, path: str, visitor: str = VISITORS[0], **more: Any
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of a request from a visitor's address."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.https, context=self.tls, source_address=(visitor, 0), timeout=30
        )
        headers = {"Host": HOST} | more.pop("headers", {})
        try:
            connection.request(more.pop("method", "GET"), path, headers=headers, **more)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def model(self, visitor: str) -> str:
        """The node that a visitor gets, by the model that it serves."""
        status, _, body = self.get("/readyz", visitor)
        assert status == 200, body
        return str(json.loads(body)["model"])


def configuration(folder: Path, http_port: int, https_port: int, nodes: list[int]) -> Path:
    """The example with this machine's ports, certificate and folders; nothing else is changed."""
    made = own_certificate(folder, "127.0.0.1")
    text = (REPOSITORY / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    for old, new in {
        "server 127.0.0.1:5000;": f"server 127.0.0.1:{nodes[0]};",
        "# server 127.0.0.1:5001;": f"server 127.0.0.1:{nodes[1]};",
        "listen 80;": f"listen 127.0.0.1:{http_port};",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{https_port} ssl http2;",
        "/etc/ssl/mien/fullchain.pem": str(made.certificate),
        "/etc/ssl/mien/key.pem": str(made.key),
    }.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / "mien.conf").write_text(text, encoding="utf-8")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""
    main = folder / "nginx.conf"
    main.write_text(
        f"{user} daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off; {places} include {folder}/mien.conf; }}\n",
        encoding="utf-8",
    )
    return main


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("nginx")
    http_port, https_port = free_port(), free_port()
    nodes, urls = {}, []
    for name in ("node-a", "node-b"):
        nodes[name] = ExitStack()
        urls.append(nodes[name].enter_context(served(node(name))))
    ports = [int(url.rpartition(":")[2]) for url in urls]
    main = configuration(folder, http_port, https_port, ports)
    assert NGINX is not None
    process = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(main)])
    try:
        await_port(https_port)
        tls = ssl.create_default_context(
            cafile=str(own_certificate(folder, "127.0.0.1").certificate)
        )
        yield Proxy(http_port, https_port, tls, nodes)
    finally:
        process.terminate()
        process.wait()
        for stack in nodes.values():
            stack.close()


def test_http_leads_to_https(proxy: Proxy) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.http, timeout=30)
    connection.request("GET", "/surveys", headers={"Host": HOST})
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Location")) == (301, f"https://{HOST}/surveys")
    connection.close()


def test_a_visitor_stays_with_one_node_and_both_have_visitors(proxy: Proxy) -> None:
    first = {visitor: proxy.model(visitor) for visitor in VISITORS}
    assert set(first.values()) == {"node-a", "node-b"}
    assert {visitor: proxy.model(visitor) for visitor in VISITORS} == first


def test_live_frames_go_to_the_node_of_the_visitors_pages(proxy: Proxy) -> None:
    async def model(visitor: str) -> str:
        url, headers = (
            f"https://127.0.0.1:{proxy.https}",
            {"Host": HOST, "Origin": f"https://{HOST}"},
        )
        async with LiveClient(url, tls=proxy.tls, address=visitor, headers=headers) as client:
            return str((await client.frame(JPEG))["model"])

    for visitor in VISITORS[:8]:
        assert asyncio.run(model(visitor)) == proxy.model(visitor)


def test_a_page_of_another_site_opens_no_socket(proxy: Proxy) -> None:
    async def connect() -> None:
        headers = {"Host": HOST, "Origin": "https://evil.example"}
        async with LiveClient(f"https://127.0.0.1:{proxy.https}", tls=proxy.tls, headers=headers):
            pass

    with pytest.raises(socketio.exceptions.ConnectionError):
        asyncio.run(connect())


def test_what_a_visitor_claims_does_not_reach_the_nodes(proxy: Proxy) -> None:
    claim = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}
    status, headers, body = proxy.get("/api/v1/who", headers=claim)
    assert (status, json.loads(body)) == (
        200,
        {"address": VISITORS[0], "secure": True, "host": HOST},
    )
    assert "max-age" in headers["Strict-Transport-Security"]


def test_metrics_are_for_this_machine_alone(proxy: Proxy) -> None:
    assert proxy.get("/metrics", "127.0.0.1")[0] == 200
    assert proxy.get("/metrics", VISITORS[0])[0] == 403


def test_a_picture_that_is_too_large_is_stopped_at_the_door(proxy: Proxy) -> None:
    headers = {"Content-Length": str(22 << 20)}
    assert proxy.get("/api/v1/analyze", method="POST", headers=headers)[0] == 413
    status, _, body = proxy.get("/api/v1/analyze", method="POST", body=JPEG)
    assert (status, len(json.loads(body)["faces"])) == (200, 1)


def test_when_a_node_ends_its_visitors_get_the_other(proxy: Proxy) -> None:
    proxy.nodes["node-a"].close()
    assert {proxy.model(visitor) for visitor in VISITORS} == {"node-b"}
