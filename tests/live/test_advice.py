from __future__ import annotations

from webapp.domain import Quality
from webapp.live.advice import COME_S, GO_S, MAX_STEP_S, AdviceKeeper

OK = Quality()
DARK = Quality(False, "More light.")
SMALL = Quality(False, "Come closer.")


def shown(steps: list[tuple[Quality, float]], keeper: AdviceKeeper | None = None) -> list[str]:
    keeper, now, seen = keeper or AdviceKeeper(), 0.0, []
    for quality, seconds in steps:
        for _ in range(round(seconds * 20)):
            text = keeper.update(1, quality, now).advice or "ok"
            if not seen or seen[-1] != text:
                seen.append(text)
            now += 0.05
    return seen


def test_the_first_frame_is_taken_as_it_is() -> None:
    assert shown([(DARK, 0.1)]) == ["More light."]


def test_a_moment_changes_nothing_and_a_while_does() -> None:
    assert shown([(OK, 1), (DARK, COME_S - 0.1), (OK, 1)]) == ["ok"]
    assert shown([(OK, 1), (DARK, COME_S + 0.2), (OK, GO_S - 0.1)]) == ["ok", "More light."]
    assert shown([(DARK, 1), (OK, GO_S + 0.2)]) == ["More light.", "ok"]


def test_frames_in_turn_do_not_flicker() -> None:
    assert shown([(OK, 1), *[(DARK, 0.05), (OK, 0.05)] * 50]) == ["ok"]


def test_another_reason_waits_too() -> None:
    assert shown([(DARK, 1), (SMALL, 0.3), (DARK, 0.3)]) == ["More light."]
    assert shown([(DARK, 1), (SMALL, GO_S + 0.2)]) == ["More light.", "Come closer."]


def test_tracks_are_apart_and_a_gap_or_forgetting_starts_afresh() -> None:
    keeper = AdviceKeeper()
    keeper.update(1, OK, 0)
    assert keeper.update(2, DARK, 0) == DARK
    assert keeper.update(1, DARK, 2 * MAX_STEP_S) == DARK
    keeper.keep({1})
    assert keeper.update(2, OK, 2 * MAX_STEP_S) == OK
