from __future__ import annotations

import pytest
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from webapp import errors
from webapp.app import create_app
from webapp.errors import ERRORS_BY_CODE, CorruptImage, MienError, error_from_json
from webapp.settings import Settings

ALL = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, MienError)
]


def test_every_error_has_a_code_of_its_own_and_a_status() -> None:
    assert set(ERRORS_BY_CODE.values()) == set(ALL)
    assert len({cls.code for cls in ALL}) == len(ALL)
    assert all(400 <= cls.status < 600 for cls in ALL)


@pytest.mark.parametrize("cls", ALL)
def test_an_error_crosses_a_process_as_itself(cls: type[MienError]) -> None:
    again = error_from_json(cls("what was expected", limit=3).to_json())
    assert type(again) is cls
    assert (again.message, again.detail) == ("what was expected", {"limit": 3})


def test_the_one_shape() -> None:
    assert CorruptImage("cut off", format="jpeg").to_json() == {
        "error": {"code": "corrupt_image", "message": "cut off", "detail": {"format": "jpeg"}}
    }


@pytest.mark.parametrize("payload", [{}, {"error": {"code": "new_one", "detail": None}}])
def test_an_error_of_unknown_form_is_still_an_error(payload: dict[str, object]) -> None:
    again = error_from_json(payload)
    assert type(again) is MienError
    assert again.detail == {}


def test_a_database_with_no_connection_free_is_away() -> None:
    app = create_app(Settings(async_mode="threading"))

    @app.get("/api/v1/waits")
    def waits() -> str:
        raise NoConnectionFree("QueuePool limit of size 5 overflow 10 reached")

    answer = app.test_client().get("/api/v1/waits")
    assert answer.status_code == 503
    assert answer.json["error"]["code"] == "database_unavailable"
