"""``tests/studies/test_events.py`` once more, over PostgreSQL."""

import pytest

from tests.studies.test_events import *  # noqa: F403

pytestmark = pytest.mark.slow
