"""Webhooks against a real local receiver: signed, retried, bounded, never redirected."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.support.sse import Received, receiver
from webapp.cli import cli
from webapp.errors import SettingsError
from webapp.mood import webhooks as module
from webapp.mood.board import Share
from webapp.mood.settle import Settler
from webapp.mood.webhooks import ATTEMPTS, QUEUE, DeliveryError, Webhooks, check_address, parse_urls
from webapp.settings import Settings

SECRET = "whsec_" + base64.b64encode(b"a secret of the tests").decode()


class Made:
    """Webhooks with threads for tasks, no waiting, and counted outcomes."""

    def __init__(self, urls: str, secret: str = SECRET) -> None:
        self.slept: list[float] = []
        self.outcomes: list[str] = []
        self.news = threading.Condition()
        self.now_s = 0.0
        self.hooks = Webhooks(
            Settings(mood_webhooks=urls, mood_webhook_secret=secret),
            start=lambda call: threading.Thread(target=call, daemon=True).start(),
            sleep=self.slept.append,
            count=self.count,
            clock=lambda: self.now_s,
        )

    def count(self, outcome: str) -> None:
        with self.news:
            self.outcomes.append(outcome)
            self.news.notify_all()

    def wait(self, count: int) -> list[str]:
        with self.news:
            assert self.news.wait_for(lambda: len(self.outcomes) >= count, 30), self.outcomes
            return list(self.outcomes)


def share(state: str = "happy", webhooks: bool = True) -> Share:
    made = Share("7KQ2-M9XP-4TVA", "key", "sid", webhooks, Settler(), 0.0)
    made.mood, made.number = {"state": state, "version": 1}, 1
    return made


def verify(got: Received, key: bytes = b"a secret of the tests") -> None:
    """With the receiver's code of the documentation."""
    text = Path("docs/mood-stream.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(import base64.*?)```", text, re.DOTALL)
    space: dict[str, Any] = {}
    exec(example, space)
    headers = {name.lower(): value for name, value in got.headers.items()}
    assert space["verify"](key, headers, got.body)
    assert not space["verify"](key, headers, got.body + b" ")
    assert not space["verify"](b"another key", headers, got.body)


def test_a_mood_arrives_signed_and_without_the_code() -> None:
    with receiver() as there:
        made = Made(there.url)
        made.hooks.changed(share())
        (got,) = there.wait(1)
        assert made.wait(1) == ["delivered"]
    verify(got)
    assert got.path == "/mood?from=mien"
    assert got.json["type"] == "mood"
    assert got.json["data"]["state"] == "happy"
    assert b"7KQ2" not in got.body and b"key" not in got.body


def test_without_the_persons_consent_nothing_is_sent() -> None:
    with receiver() as there:
        made = Made(there.url)
        made.hooks.changed(share(webhooks=False))
        made.hooks.ended(share(webhooks=False), "stopped")
        made.hooks.changed(share("sad"))
        assert [got.json["data"]["state"] for got in there.wait(1)] == ["sad"]


def test_failures_are_tried_again_with_back_off_and_the_same_id() -> None:
    with receiver(500, 503, 429) as there:
        made = Made(there.url)
        made.hooks.changed(share())
        got = there.wait(4)
        assert made.wait(1) == ["delivered"]
    ids = {one.headers["webhook-id"] for one in got}
    assert len(ids) == 1
    assert [1 <= s / 2**i < 1.25 for i, s in enumerate(made.slept)] == [True] * 3
    for one in got:
        verify(one)


def test_retries_end() -> None:
    with receiver(*[500] * 20) as there:
        made = Made(there.url)
        made.hooks.changed(share())
        assert made.wait(1) == ["failed"]
        assert len(there.got) == ATTEMPTS


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 410])
def test_redirects_are_not_followed_and_refusals_not_repeated(status: int) -> None:
    with receiver(status) as there:
        made = Made(there.url)
        made.hooks.changed(share())
        assert made.wait(1) == ["failed"]
        assert [got.path for got in there.got] == ["/mood?from=mien"]


def test_a_dead_address_costs_the_others_nothing() -> None:
    with receiver() as there:
        made = Made(f"http://127.0.0.1:1/dead, {there.url}")
        made.hooks.changed(share())
        there.wait(1)
        assert sorted(made.wait(2)) == ["delivered", "failed"]


def test_the_queue_is_bounded_and_the_oldest_goes_first() -> None:
    with receiver() as there:
        there.gate.clear()
        made = Made(there.url)
        for i in range(QUEUE + 11):
            made.hooks.changed(share(str(i)))
        assert made.wait(9).count("dropped") >= 9
        there.gate.set()
        states = [got.json["data"]["state"] for got in there.wait(QUEUE)]
        made.wait(QUEUE + 11)
    assert str(QUEUE + 10) in [got.json["data"]["state"] for got in there.got]
    assert len(states) <= QUEUE + 2


def test_what_is_withdrawn_or_too_old_is_not_sent_any_more() -> None:
    with receiver(500) as there:
        made = Made(there.url)
        ended = share()

        def stop(_seconds: float) -> None:
            ended.ended = "stopped"
            made.hooks.ended(ended, "stopped")

        made.hooks.sleep = stop
        made.hooks.changed(ended)
        got = there.wait(2)
        assert made.wait(2) == ["withdrawn", "delivered"]
        assert [one.json["type"] for one in got] == ["mood", "mood.end"]
        assert got[1].json["data"] == {"stream": ended.stream, "reason": "stopped"}
    with receiver(500) as there:
        made = Made(there.url)

        def age(_seconds: float) -> None:
            made.now_s += 1000

        made.hooks.sleep = age
        made.hooks.changed(share())
        assert made.wait(1) == ["dropped"]
        assert len(there.got) == 1


@pytest.mark.parametrize(
    "urls",
    ["ftp://a.example/", "a.example", "http://", "http://user:secret@a.example/", "file:///etc/passwd",
     "http://a.example:99999/", "http://a.example/#x", "http://[::1/"],
)  # fmt: skip
def test_an_address_that_is_none_stops_the_start(urls: str) -> None:
    with pytest.raises(SettingsError, match="MIEN_MOOD_WEBHOOKS"):
        parse_urls(urls)


def test_webhooks_need_a_secret() -> None:
    with pytest.raises(SettingsError, match="MIEN_MOOD_WEBHOOK_SECRET"):
        Made("http://127.0.0.1/", secret="")
    with pytest.raises(SettingsError, match="base64"):
        Made("http://127.0.0.1/", secret="whsec_not base64!")
    with receiver() as there:
        made = Made(there.url, secret="any text")
        made.hooks.changed(share())
        verify(there.wait(1)[0], b"any text")
    assert Webhooks(Settings(), start=lambda call: None).hosts == ()


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "0.0.0.0", "::ffff:169.254.169.254", "224.0.0.1"]
)
def test_addresses_that_no_webhook_may_reach(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a harmless name comes to point at one."""

    def resolve(*_: Any, **__: Any) -> list[Any]:
        return [(0, 0, 0, "", (address, 80))]

    monkeypatch.setattr(module.socket, "getaddrinfo", resolve)
    with pytest.raises(DeliveryError) as caught:
        check_address("harmless.example", 80)
    assert caught.value.final


def test_the_command_line_tries_every_address(monkeypatch: pytest.MonkeyPatch) -> None:
    run: Callable[[], Any] = lambda: CliRunner().invoke(cli, ["mood", "test-webhooks"])  # noqa: E731
    assert "MIEN_MOOD_WEBHOOKS" in run().output
    monkeypatch.setenv("MIEN_MOOD_WEBHOOK_SECRET", SECRET)
    with receiver() as there:
        monkeypatch.setenv("MIEN_MOOD_WEBHOOKS", f"{there.url} http://127.0.0.1:1/dead?token=x")
        done = run()
        assert done.exit_code == 1
        assert "/mood: taken" in done.output
        assert "token" not in done.output
        verify(there.wait(1)[0])
        monkeypatch.setenv("MIEN_MOOD_WEBHOOKS", there.url)
        assert run().exit_code == 0
