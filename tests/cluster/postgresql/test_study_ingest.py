"""``tests/studies/test_ingest.py`` once more, over PostgreSQL."""

import pytest

from tests.studies.test_ingest import *  # noqa: F403

pytestmark = pytest.mark.slow
