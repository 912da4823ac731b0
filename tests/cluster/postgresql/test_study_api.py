"""``tests/studies/test_api.py`` once more, over PostgreSQL."""

import pytest

from tests.studies.test_api import *  # noqa: F403

pytestmark = pytest.mark.slow
