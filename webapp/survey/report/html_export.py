"""The report as one HTML file that needs nothing else, and the words that templates use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from webapp import ROOT
from webapp.languages import (
    ENGLISH,
    add_texts,
    browser_script,
    gettext,
    number,
    speaking,
)
from webapp.survey.report.page_cache import for_page

TEMPLATES = ROOT / "templates"
STATIC = ROOT / "static"
STYLES = tuple(
    f"css/{name}.css"
    for name in ("tokens", "base", "components", "tables", "survey-report", "survey")
)
CHART_LIBRARY = "vendor/echarts.min.js"
CHART_SCRIPT = "js/pages/survey-report-charts.js"


def share(value: float | None) -> str:
    """A share in ``[0, 1]`` as a percentage with one decimal; a dash for none."""
    return "–" if value is None else f"{number(100 * value, 1)} %"


def likelihood(value: float) -> str:
    """How sure a reading is; never wholly, as on the live page."""
    return gettext("over 99 %") if value > 0.99 else f"{number(100 * value)} %"


def points(value: float | None) -> str:
    """A difference of shares in percentage points, with its sign."""
    return "–" if value is None else number(100 * value, 1, sign=True)


def band(interval: list[float] | None) -> str:
    """An interval of shares as ``12.0 to 15.3 %``."""
    if interval is None:
        return "–"
    low, high = (number(100 * end, 1) for end in interval)
    return gettext("%(low)s to %(high)s %%", low=low, high=high)


def signed(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else number(value, digits, sign=True)


def signed_band(interval: list[float] | None, factor: float = 1.0, digits: int = 2) -> str:
    if interval is None:
        return "–"
    low, high = (number(factor * end, digits, sign=True) for end in interval)
    return gettext("%(low)s to %(high)s", low=low, high=high)


def p_value(value: float | None) -> str:
    """A p-value as it is written in reports."""
    if value is None:
        return "–"
    return f"< {number(0.001, 3)}" if value < 0.001 else number(value, 3)


FILTERS: dict[str, Callable[..., str]] = {
    "share": share,
    "likelihood": likelihood,
    "points": points,
    "band": band,
    "signed": signed,
    "signed_band": signed_band,
    "p_value": p_value,
}


def _inline(name: str) -> str:
    path = STATIC / name
    if not path.is_file():
        return ""  # a checkout without browser libraries still gives the tables
    # "</script" inside a script would end it; in JavaScript "<\/script" means the same
    return path.read_text(encoding="utf-8").replace("</script", "<\\/script")


def render_html(report: dict[str, Any], chosen: str = ENGLISH) -> str:
    """The report as a page with its styles, script, chart library and data inside.

    ``chosen`` is the language it speaks. It holds no picture: a file that is passed on must not
    carry faces along.
    """
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    environment.filters.update(FILTERS)
    library = _inline(CHART_LIBRARY)
    words = browser_script(chosen, (f"static/{CHART_SCRIPT}",)) if library else ""
    with speaking(chosen):
        add_texts(environment)
        return environment.get_template("survey_report_file.html").render(
            report=for_page(report),
            css=Markup("\n".join(_inline(name) for name in STYLES)),  # noqa: S704 - our own files
            library=Markup(library),  # noqa: S704 - from our own vendor folder
            words=Markup(words),  # noqa: S704 - from our own catalogue
            script=Markup(_inline(CHART_SCRIPT) if library else ""),  # noqa: S704 - our own file
            pictures=False,
        )
