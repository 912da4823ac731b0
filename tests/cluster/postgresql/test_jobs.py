"""``tests/survey/analysis/test_jobs.py`` once more, over PostgreSQL."""

from tests.survey.analysis.test_jobs import *  # noqa: F403
