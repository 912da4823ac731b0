"""``tests/survey/intake/test_uploads.py`` once more, over PostgreSQL."""

from tests.survey.intake.test_uploads import *  # noqa: F403
