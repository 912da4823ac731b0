"""``tests/studies/test_strangers.py`` once more, over PostgreSQL."""

import pytest

from tests.studies.test_strangers import *  # noqa: F403

pytestmark = pytest.mark.slow
