"""In which language a request is answered, the switch for it, and the texts for the browser."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from webapp.errors import NotFound
from webapp.languages import (
    ENGLISH,
    FILTERS,
    LANGUAGES,
    RIGHT_TO_LEFT,
    Languages,
    browser_script,
    language,
    script_name,
)

COOKIE = "mien-language"
YEAR_S = 365 * 24 * 3600


def chosen_language() -> str:
    """What was chosen by hand, or what the browser asks for, or English.

    Programs that send no Accept-Language are answered in English.
    """
    by_hand = request.cookies.get(COOKIE, "")
    if by_hand in LANGUAGES:
        return by_hand
    for asked, quality in request.accept_languages:  # the best first
        if quality > 0 and (primary := asked.partition("-")[0].lower()) in LANGUAGES:
            return primary
    return ENGLISH


def _local(address: str) -> str:
    """``address`` where it is a path of ours, else the first page."""
    parts = urlsplit(address.replace("\\", "/"))
    inside = not parts.scheme and not parts.netloc and address.startswith("/")
    return address if inside and not address.startswith("//") else "/"


def init_languages(app: Flask) -> None:
    """Add the languages to an application: texts in templates, the switch, the browser's texts."""
    Languages(app, locale_selector=chosen_language)
    app.jinja_env.filters.update(FILTERS)

    @app.get("/language/<name>", endpoint="language")
    def choose(name: str) -> ResponseReturnValue:
        """Keep the language in a cookie, and go back to where the switch was."""
        if name not in LANGUAGES:
            raise NotFound(f"Expected one of {', '.join(LANGUAGES)}. Received {name[:20]!r}.")
        answer = redirect(_local(request.args.get("back", "/")))
        answer.set_cookie(
            COOKIE, name, max_age=YEAR_S, samesite="Lax", httponly=True, secure=request.is_secure
        )
        return answer

    @app.get("/words/<name>.js", endpoint="words")
    def words(name: str) -> ResponseReturnValue:
        """The browser's texts of one language, under a name that changes with them."""
        wanted = name.partition("-")[0]
        if wanted not in LANGUAGES:
            raise NotFound("There are no such texts.")
        if name != script_name(wanted):  # of another version: only what is now is kept compressed
            return redirect(url_for("words", name=script_name(wanted)))
        answer = Response(browser_script(wanted), mimetype="text/javascript")
        answer.add_etag()
        return answer.make_conditional(request)

    @app.after_request
    def say_which(response: Response) -> Response:
        if response.mimetype == "text/html":
            response.headers.setdefault("Content-Language", language())
            response.vary.update(("Accept-Language", "Cookie"))
        return response

    @app.context_processor
    def texts() -> dict[str, Any]:
        now = language()
        return {
            "language": now,
            "languages": LANGUAGES,
            "direction": "rtl" if now in RIGHT_TO_LEFT else "ltr",
            "words_url": None if now == ENGLISH else url_for("words", name=script_name(now)),
        }
