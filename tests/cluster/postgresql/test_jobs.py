"""``tests/survey/test_jobs.py`` once more, over PostgreSQL."""

from tests.survey.test_jobs import *  # noqa: F403
