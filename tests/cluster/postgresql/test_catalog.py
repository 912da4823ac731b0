"""``tests/survey/test_catalog.py`` once more, over PostgreSQL."""

from tests.survey.test_catalog import *  # noqa: F403
