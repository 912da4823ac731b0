"""The report as one HTML file that needs nothing else, and the words that templates use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from webapp import ROOT
from webapp.survey.report.page_cache import for_page

TEMPLATES = ROOT / "templates"
STATIC = ROOT / "static"
STYLES = tuple(
    f"css/{name}.css"
    for name in ("tokens", "base", "components", "tables", "survey-report", "survey")
)
CHART_LIBRARY = "vendor/echarts.min.js"
CHART_SCRIPT = "js/pages/survey-report-charts.js"


def _minus(number: str) -> str:
    """With a real minus sign, and none before a zero."""
    if not number.strip("+-0."):
        return number.lstrip("+-")
    return number.replace("-", "\u2212")


def share(value: float | None) -> str:
    """A share in ``[0, 1]`` as a percentage with one decimal; a dash for none."""
    return "–" if value is None else f"{100 * value:.1f} %"


def points(value: float | None) -> str:
    """A difference of shares in percentage points, with its sign."""
    return "–" if value is None else _minus(f"{100 * value:+.1f}")


def band(interval: list[float] | None) -> str:
    """An interval of shares as ``12.0 to 15.3 %``."""
    return "–" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f} %"


def signed(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else _minus(f"{value:+.{digits}f}")


def signed_band(interval: list[float] | None, factor: float = 1.0, digits: int = 2) -> str:
    if interval is None:
        return "–"
    low, high = (_minus(f"{factor * value:+.{digits}f}") for value in interval)
    return f"{low} to {high}"


def p_value(value: float | None) -> str:
    """A p-value as it is written in reports."""
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


FILTERS: dict[str, Callable[..., str]] = {
    "share": share,
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


def render_html(report: dict[str, Any]) -> str:
    """The report as a page with its styles, script, chart library and data inside.

    It holds no picture: a file that is passed on must not carry faces along.
    """
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    environment.filters.update(FILTERS)
    template = environment.get_template("survey_report_file.html")
    library = _inline(CHART_LIBRARY)
    return template.render(
        report=for_page(report),
        css=Markup("\n".join(_inline(name) for name in STYLES)),  # noqa: S704 - our own files
        library=Markup(library),  # noqa: S704 - from our own vendor folder
        script=Markup(_inline(CHART_SCRIPT) if library else ""),  # noqa: S704 - our own file
        pictures=False,
    )
