"""``tests/studies/test_participation.py`` once more, over PostgreSQL."""

import pytest

from tests.studies.test_participation import *  # noqa: F403

pytestmark = pytest.mark.slow
