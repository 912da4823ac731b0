"""A small S3 server in this process, and what several nodes share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.support.services import Missing, RedisServer, await_port, free_port, private_redis
from tests.support.models import activate, make_version

BUCKET = "mien-test"


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """``s3://bucket/folder`` on a private server; the environment says where it is."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        try:
            await_port(port, process)
            make_bucket(port)
            yield f"s3://{BUCKET}/mien"
        finally:
            process.terminate()
            process.wait()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_version(folder, "test-1")
    activate(folder, "test-1")
    return folder


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    try:
        with private_redis() as server:
            yield server
    except Missing as missing:
        pytest.skip(str(missing))


def make_bucket(port: int) -> None:
    from urllib.request import Request, urlopen

    with urlopen(Request(f"http://127.0.0.1:{port}/{BUCKET}", method="PUT"), timeout=30):
        return
