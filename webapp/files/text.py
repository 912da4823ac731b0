"""Bytes of unknown encoding as text: names in archives, tables, what a console can show."""

from __future__ import annotations

import codecs
import os
import sys
import unicodedata
from collections.abc import Sequence
from typing import Final

_MARKS: Final[tuple[tuple[bytes, str], ...]] = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# what systems write where they do not say it; the first that fits best is taken
NAME_ENCODINGS: Final = (
    *("utf_8", "gb18030", "big5", "cp932", "cp949", "cp866", "cp1251", "cp437", "cp850", "cp1252"),
)
TABLE_ENCODINGS: Final = (
    *("utf_8", "cp1252", "gb18030", "big5", "cp932", "cp949", "cp1251", "cp1250", "mac_roman"),
)
_SAMPLE_BYTES: Final = 50_000


def encoding_of(data: bytes, encodings: Sequence[str] = TABLE_ENCODINGS) -> str:
    """The encoding of a text that begins with ``data``: by its byte-order mark, UTF-8, UTF-16
    or UTF-32 without a mark, or the best of ``encodings``. Never raises.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    unmarked = _unmarked(data[:24])  # a table's first line names its columns in Latin letters
    if unmarked is not None:
        return unmarked
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)  # the last letter may be cut
    except UnicodeDecodeError:
        return _guess(data, encodings)
    return "utf-8"


def _unmarked(head: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark, by where the zeros of Latin text stand; else None."""
    head = head[: len(head) // 4 * 4]
    quarter = len(head) // 4
    zeros = [head[at::4].count(0) for at in range(4)]
    for encoding, pattern in (
        ("utf-32-le", (0, 1, 1, 1)),
        ("utf-32-be", (1, 1, 1, 0)),
        ("utf-16-le", (0, 1, 0, 1)),
        ("utf-16-be", (1, 0, 1, 0)),
    ):
        if quarter and all(
            count >= 0.75 * quarter if wanted else not count
            for count, wanted in zip(zeros, pattern, strict=True)
        ):
            return encoding
    return None


def decoded(data: bytes, encodings: Sequence[str] = TABLE_ENCODINGS) -> str:
    """``data`` as text, see :func:`encoding_of`; what cannot be decoded becomes U+FFFD."""
    return data.decode(encoding_of(data, encodings), "replace")


def _guess(data: bytes, encodings: Sequence[str]) -> str:
    import charset_normalizer

    sample = data[:_SAMPLE_BYTES]
    sample = sample[: sample.rfind(b"\n") + 1] or sample if len(data) > len(sample) else sample
    found = charset_normalizer.from_bytes(sample, cp_isolation=list(encodings), threshold=0.5)
    best = found.best()
    if best is None:
        return next(encoding for encoding in encodings[::-1] if encoding.startswith("cp"))
    # Korean with Chinese characters in between is Chinese: short texts fit both
    fits = [match.encoding for match in found]
    ideographs = any("\u4e00" <= letter <= "\u9fff" for letter in str(best))
    if best.encoding == "cp949" and ideographs and "gb18030" in fits:
        return "gb18030"
    return best.encoding


def same_name(name: str) -> str:
    """What two spellings of one file name share: composed letters (macOS parts them), ``/``."""
    return unicodedata.normalize("NFC", name.replace("\\", "/")).strip().removeprefix("./")


def printable(text: str) -> str:
    """``text`` with what cannot be written as UTF-8 (file names of other systems) escaped."""
    try:
        # where the locale is no UTF-8 one, the bytes of a name may still be
        return os.fsencode(text).decode("utf-8") if not text.isascii() else text
    except UnicodeError:
        pass
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def forgiving_console() -> None:
    """Let standard output and error escape what the console's encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
