"""``tests/survey/test_uploads.py`` once more, over PostgreSQL."""

from tests.survey.test_uploads import *  # noqa: F403
