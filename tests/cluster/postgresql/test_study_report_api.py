"""``tests/studies/test_report_api.py`` once more, over PostgreSQL."""

import pytest

from tests.studies.test_report_api import *  # noqa: F403

pytestmark = pytest.mark.slow
