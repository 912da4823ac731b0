"""The operations of views that carry none themselves, of every part that has such a table."""

from __future__ import annotations

from typing import Any, Final

from webapp.api import study_operations, survey_operations

OPERATIONS: Final[dict[str, dict[str, Any]]] = {
    **survey_operations.OPERATIONS,
    **study_operations.OPERATIONS,
}
