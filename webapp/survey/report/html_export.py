"""The report as one HTML file that needs nothing else, and the filters that templates use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from webapp import ROOT
from webapp.languages import ENGLISH, add_texts, browser_script, speaking
from webapp.survey.report import formats
from webapp.survey.report.method import method_facts
from webapp.survey.report.page_cache import for_page

TEMPLATES = ROOT / "templates"
STATIC = ROOT / "static"
STYLES = tuple(
    f"css/{name}.css"
    for name in ("tokens", "base", "components", "tables", "survey-report", "survey")
)
CHART_LIBRARY = "vendor/echarts.min.js"
CHART_SCRIPT = "js/pages/survey-report-charts.js"


FILTERS: dict[str, Callable[..., Any]] = {
    "share": formats.share,
    "likelihood": formats.likelihood,
    "points": formats.points,
    "band": formats.band,
    "signed": formats.signed,
    "signed_band": formats.signed_band,
    "p_value": formats.p_value,
    "method_facts": method_facts,
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
