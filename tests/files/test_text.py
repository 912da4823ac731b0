"""File names and texts of other systems."""

from __future__ import annotations

import os
import subprocess
import sys

from webapp.files.text import printable


def test_names_are_escaped_where_they_are_no_utf8() -> None:
    assert printable("Müller") == "Müller"
    assert printable(os.fsdecode(b"M\xfcller")) == "M\\udcfcller"


def test_names_in_utf8_are_read_where_the_locale_is_not() -> None:
    code = "import os; from webapp.files.text import printable as p; "
    code += r"print(ascii(p(os.fsdecode(b'M\xc3\xbc'))))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == r"'M\xfc'"
