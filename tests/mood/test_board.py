"""Who may listen to whom, and for how long."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.live import face
from webapp.domain import Box, FrameResult
from webapp.errors import NotFound, TooManySessions
from webapp.mood.board import GRACE_S, PAUSED_AFTER_S, MoodBoard, Share
from webapp.mood.codes import new_code, plain
from webapp.settings import Settings


@dataclass
class Clock:
    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Ear:
    moods: list[dict[str, Any]] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)

    def changed(self, share: Share) -> None:
        assert share.mood is not None
        self.moods.append(share.mood)

    def ended(self, share: Share, reason: str) -> None:
        self.ends.append(reason)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def board(clock: Clock) -> MoodBoard:
    return MoodBoard(Settings(mood_max_listeners=2), clock, lambda: 1_700_000_000 + clock.now_s)


def result(model: str = "mien-1", **scores: float) -> FrameResult:
    faces = (face(Box(0, 0, 100, 100), **scores),) if scores else ()
    return FrameResult(640, 480, model, faces, {})


def feed(board: MoodBoard, clock: Clock, sid: str, seconds: float, **what: Any) -> None:
    for _ in range(round(seconds * 10)):
        clock.now_s += 0.1
        board.on_result(sid, result(**what))


def test_nothing_is_shared_before_it_is_turned_on(board: MoodBoard, clock: Clock) -> None:
    feed(board, clock, "a", 5, happy=0.9)
    assert len(board) == 0


def test_a_listener_hears_each_change_once_in_the_documented_shape(
    board: MoodBoard, clock: Clock
) -> None:
    ear = Ear()
    share = board.begin("a")
    board.listen(share.code, ear)
    began_ms = round((1_700_000_000 + clock.now_s) * 1000)
    feed(board, clock, "a", 5, happy=0.9)
    feed(board, clock, "a", 5)
    assert [m["state"] for m in ear.moods] == ["happy", "nobody"]
    happy = ear.moods[0]
    assert happy == {
        "state": "happy",
        "since_ms": happy["since_ms"],
        "confidence": 0.9,
        "valence": 0.9,
        "faces": 1,
        "model": "mien-1",
        "version": 1,
    }
    assert 0 <= happy["since_ms"] - began_ms <= 300
    assert ear.moods[1]["confidence"] is None
    assert ear.moods[1]["since_ms"] - happy["since_ms"] == pytest.approx(5000, abs=200)


def test_one_session_never_reads_another(board: MoodBoard, clock: Clock) -> None:
    ears = {sid: Ear() for sid in ("a", "b")}
    for sid, ear in ears.items():
        board.listen(board.begin(sid).code, ear)
    for _ in range(40):
        clock.now_s += 0.1
        board.on_result("a", result(happy=0.9))
        board.on_result("b", result(sad=0.9))
    assert [m["state"] for m in ears["a"].moods] == ["happy"]
    assert [m["state"] for m in ears["b"].moods] == ["sad"]


def test_codes_are_long_and_forgiving_to_type() -> None:
    codes = {new_code() for _ in range(1000)}
    assert len(codes) == 1000
    code = codes.pop()
    assert len(plain(code)) == 12
    assert plain(code.lower().replace("-", " ")) == plain(code)
    assert plain("oil-o") == "0110"


@pytest.mark.parametrize("code", ["", "x", "7KQ2-M9XP-4TVA", "a" * 10_000, "../../etc", "\x00"])
def test_a_wrong_code_hears_nothing(board: MoodBoard, code: str) -> None:
    board.begin("a")
    with pytest.raises(NotFound):
        board.listen(code, Ear())


def test_turning_it_off_ends_it_at_once_and_for_good(board: MoodBoard, clock: Clock) -> None:
    ear = Ear()
    share = board.begin("a")
    board.listen(share.code, ear)
    feed(board, clock, "a", 3, happy=0.9)
    board.end("a")
    board.end("a")
    feed(board, clock, "a", 3, sad=0.9)
    assert (len(ear.moods), ear.ends, share.mood) == (1, ["stopped"], None)
    with pytest.raises(NotFound):
        board.find(share.code)
    again = board.begin("a", code=share.code, key=share.key)
    assert again.code != share.code


def test_silence_is_paused_and_the_end_comes_after_the_grace(
    board: MoodBoard, clock: Clock
) -> None:
    ear = Ear()
    share = board.begin("a")
    board.listen(share.code, ear)
    feed(board, clock, "a", 3, happy=0.9)
    board.away("a")
    board.tick()
    assert len(ear.moods) == 1
    clock.now_s += PAUSED_AFTER_S + 0.1
    board.tick()
    board.tick()
    assert [m["state"] for m in ear.moods] == ["happy", "paused"]
    clock.now_s += GRACE_S
    board.tick()
    assert ear.ends == ["left"]
    assert len(board) == 0


def test_a_page_that_comes_back_takes_its_share_up_again_and_nobody_else_does(
    board: MoodBoard, clock: Clock
) -> None:
    ear = Ear()
    share = board.begin("a")
    board.listen(share.code, ear)
    board.away("a")
    for key in ("", "wrong", share.key[:-1]):
        assert board.begin("thief", code=share.code, key=key) is not share
    assert board.begin("b", code=share.code, key=share.key) is share
    clock.now_s += GRACE_S + 1
    feed(board, clock, "b", 3, happy=0.9)
    board.tick()
    assert [m["state"] for m in ear.moods] == ["happy"]
    assert ear.ends == []


def test_listeners_are_limited_and_leave_room_again(board: MoodBoard) -> None:
    share = board.begin("a")
    first = Ear()
    board.listen(share.code, first)
    board.listen(share.code, Ear())
    with pytest.raises(TooManySessions):
        board.listen(share.code, Ear())
    board.leave(share, first)
    board.leave(share, first)
    board.listen(share.code, Ear())
    assert board.listeners == 2


def test_another_model_is_told_with_the_same_state(board: MoodBoard, clock: Clock) -> None:
    ear = Ear()
    board.listen(board.begin("a").code, ear)
    feed(board, clock, "a", 3, happy=0.9)
    feed(board, clock, "a", 1, model="mien-2", happy=0.9)
    assert [(m["state"], m["model"]) for m in ear.moods] == [
        ("happy", "mien-1"),
        ("happy", "mien-2"),
    ]
    assert ear.moods[0]["since_ms"] == ear.moods[1]["since_ms"]


def test_shares_that_nobody_takes_up_again_are_bounded(
    board: MoodBoard, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.mood.board.MAX_SHARES", 3)
    for sid in "abc":
        board.begin(sid)
        board.away(sid)
    with pytest.raises(TooManySessions):
        board.begin("d")
    clock.now_s += GRACE_S + 1
    board.tick()
    assert board.begin("d").sid == "d"
