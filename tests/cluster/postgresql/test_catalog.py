"""``tests/survey/test_catalog.py`` once more, over PostgreSQL."""

import pytest

from tests.survey.test_catalog import *  # noqa: F403

pytestmark = pytest.mark.slow
