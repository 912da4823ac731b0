"""``tests/survey/intake/test_uploads.py`` once more, over PostgreSQL."""

import pytest

from tests.survey.intake.test_uploads import *  # noqa: F403

pytestmark = pytest.mark.slow
