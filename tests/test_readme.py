"""The README's table of settings is the one that the code would make."""

from __future__ import annotations

from tests.support.data import REPOSITORY
from webapp.settings import markdown_table


def test_readme_holds_the_table_of_settings() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    begin = text.index("<!-- settings:")
    block = text[text.index("-->", begin) + 3 : text.index("<!-- end of settings -->")]
    assert block.strip() == markdown_table(), "run: python -m webapp.settings, paste it there"
