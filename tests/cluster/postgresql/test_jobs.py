"""``tests/survey/analysis/test_jobs.py`` once more, over PostgreSQL."""

import pytest

from tests.survey.analysis.test_jobs import *  # noqa: F403

pytestmark = pytest.mark.slow
