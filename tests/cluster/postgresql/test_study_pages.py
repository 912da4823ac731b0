"""``tests/studies/test_pages.py`` once more, over PostgreSQL."""

import pytest

from tests.studies.test_pages import *  # noqa: F403

pytestmark = pytest.mark.slow
