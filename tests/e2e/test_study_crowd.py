"""More people take part than there are places or than the workers can read, in a real browser."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Playwright, expect

from tests.e2e.browser import chromium, shot, wait_until
from tests.e2e.servers import ServerProcess, real_server
from tests.e2e.studies import Participant, make_study, write_film, write_picture

FULL = "Many people are taking part just now, and there is no place for you yet."
FULL_GERMAN = "Gerade nehmen sehr viele Menschen teil, und für Sie ist noch kein Platz."
HELD_MS = 6000  # longer than a line may be silent


@pytest.fixture(scope="module")
def server(any_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    started = real_server(
        any_models,
        tmp_path_factory.mktemp("crowd") / "server.log",
        MIEN_STUDY_MAX_CONNECTIONS="1",
        MIEN_WORKER_HANG_MS="60000",
    )
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def browser(playwright: Playwright, astronaut_mjpeg: Path) -> Iterator[Browser]:
    with chromium(playwright, astronaut_mjpeg) as opened:
        yield opened


@pytest.mark.parametrize(("language", "words"), [("en", FULL), ("de", FULL_GERMAN)])
def test_who_finds_no_place_is_told_so_and_goes_on_when_one_is_free(
    browser: Browser, server: ServerProcess, tmp_path: Path, language: str, words: str
) -> None:
    maker = browser.new_context().new_page()
    study = make_study(maker, server, [write_picture(tmp_path / "picture.png")])
    url = f"{server.url}{study['link'][1:]}"
    first = Participant(browser.new_context().new_page(), url)
    first.agree()
    first.check_camera()  # and keeps the one place
    phone = {"width": 390, "height": 844}
    context = browser.new_context(locale=language, viewport=phone)  # type: ignore[arg-type]
    late = Participant(context.new_page(), url)
    late.page.locator("[data-agree]").check()
    late.page.locator("[data-take-part]").click()
    late.page.locator("[data-screen=receipt] [data-to-camera]").click()
    late.page.locator("[data-open-camera]").click()
    expect(late.page.locator("[data-check-advice]")).to_contain_text(words)
    shot(late.page, f"study-full-{language}")
    first.page.context.close()
    expect(late.page.locator("[data-check-done]")).to_be_enabled()
    expect(late.page.locator("[data-check-advice]")).not_to_contain_text(words)
    late.page.context.close()
    maker.context.close()


def test_a_film_goes_on_while_results_wait_and_batches_use_the_connection(
    browser: Browser, server: ServerProcess, tmp_path: Path
) -> None:
    page = browser.new_context(viewport={"width": 900, "height": 700}).new_page()
    study = make_study(page, server, [write_film(tmp_path / "film.mp4", 14, (40, 60, 120))])
    sent: list[str] = []
    page.on(
        "websocket",
        lambda socket: socket.on("framesent", lambda data: sent.append(str(data)[:200])),
    )
    person = Participant(page, f"{server.url}{study['link'][1:]}")
    person.agree()
    person.check_camera()
    person.start()
    person.at(1500)
    (worker,) = [
        one
        for one in psutil.Process(server.pid).children(recursive=True)
        if "webapp.inference.worker" in one.cmdline()
    ]
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        held = person.state()
        person.at(held["positionMs"] + HELD_MS)
        answered = person.state()["stats"]["answered"]
        assert answered <= held["stats"]["answered"] + 1
        assert page.locator("[data-pause]").is_hidden()
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    wait_until(page, lambda: person.state()["stats"]["answered"] > answered, "results again")
    person.answer()
    assert person.state()["pending"] == 0
    assert any('"batch"' in one for one in sent)
    page.context.close()
