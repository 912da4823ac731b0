"""Scripts, styles and icons: compressed, and kept by browsers until others are served.

Their address carries a hash of the whole folder, so that modules that import each other by relative
paths always come from one version, and a browser that has them asks for none again.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from flask import Flask, Response, request, send_from_directory
from flask.typing import ResponseReturnValue
from flask_compress import Compress

YEAR_S = 365 * 24 * 3600
_VERSIONED = re.compile(r"^[0-9a-f]{12}/")
_IMPORT = re.compile(r"""^(?:import|export)\b[^;]*?["'](\.{1,2}/[^"']+)["'];""", re.MULTILINE)


def version_of(folder: Path) -> str:
    """Twelve hex digits that change with any file in ``folder``."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(folder)).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


@cache
def modules_of(folder: Path, first: str) -> tuple[str, ...]:
    """Every module that ``first`` needs, itself included, as paths below ``folder``."""
    found: dict[str, None] = {}
    waiting = [first]
    while waiting:
        name = waiting.pop(0)
        if name in found or not (folder / name).is_file():
            continue
        found[name] = None
        if name.startswith("vendor/"):
            continue  # bundles: they import nothing of ours
        for target in _IMPORT.findall((folder / name).read_text(encoding="utf-8")):
            parts: list[str] = []
            for part in (PurePosixPath(name).parent / target).parts:
                parts = parts[:-1] if part == ".." else [*parts, part]
            waiting.append("/".join(parts))
    return tuple(found)


class _Kept:
    """What was compressed, by address; addresses change with what they lead to."""

    def __init__(self) -> None:
        self._texts: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        return self._texts.get(key)

    def set(self, key: str, value: bytes) -> None:
        self._texts[key] = value


def init_assets(app: Flask) -> None:
    """Serve the static folder under its version, and compress what is text.

    Pages are not compressed: they may carry a token that is secret, and the length of a compressed
    page tells about it (BREACH).
    """
    app.config.update(
        COMPRESS_REGISTER=False,
        COMPRESS_MIMETYPES=["text/css", "text/javascript", "application/javascript"],
        COMPRESS_ALGORITHM=["br", "gzip"],
        COMPRESS_BR_LEVEL=9,
        COMPRESS_CACHE_BACKEND=_Kept,
        COMPRESS_CACHE_KEY=lambda asked: asked.path,
    )
    compress = Compress(app)
    folder = Path(str(app.static_folder))

    @app.after_request
    def keep_and_compress(response: Response) -> Response:
        if request.endpoint not in ("static", "words"):
            return response
        if response.status_code in (200, 304):
            response.cache_control.no_cache = None
            response.cache_control.public = True
            response.cache_control.max_age = YEAR_S
            response.cache_control.immutable = True
        if response.status_code == 200 and request.method == "GET":
            response.direct_passthrough = False
            response.set_data(response.get_data())
            return compress.after_request(response)
        return response

    @app.get("/static/<path:filename>", endpoint="static_now")
    def static_now(filename: str) -> ResponseReturnValue:
        """A file by its plain name, or of a version that is served no more: as it is now."""
        return send_from_directory(folder, _VERSIONED.sub("", filename))

    @app.context_processor
    def helpers() -> dict[str, Any]:
        return {"modules_of": lambda first: modules_of(folder, first)}
