"""What a survey or a study may be for, and what Mien refuses to be used for, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from webapp.errors import Forbidden, InvalidRequest
from webapp.languages import N_


@dataclass(frozen=True, slots=True)
class Purpose:
    """One choice on the form; ``refusal`` is the reason why it is not allowed, or None."""

    key: str
    label: str
    refusal: str | None = None


_AI_ACT = N_(
    "Reading emotions of people at work or in education in order to judge them is prohibited in "
    "the European Union (AI Act, Regulation (EU) 2024/1689, Article 5(1)(f)), and a facial "
    "expression does not show what somebody feels or how well they work or learn. "
    "Mien is not for that."
)

PURPOSES: tuple[Purpose, ...] = (
    Purpose("product", N_("Reactions to a product, package or design")),
    Purpose("advertising", N_("Reactions to an advertisement, film or other medium")),
    Purpose("research", N_("Scientific research with volunteers")),
    Purpose("model", N_("Testing how well the model reads labelled pictures")),
    Purpose("other", N_("Something else (describe it)")),
    Purpose("work", N_("Judging employees or applicants"), _AI_ACT),
    Purpose("education", N_("Judging pupils, students or examinees"), _AI_ACT),
)
MAX_DESCRIPTION: Final = 2000
BY_KEY: Final = {purpose.key: purpose for purpose in PURPOSES}


def check_purpose(key: str, description: str) -> Purpose:
    """The purpose named ``key``.

    Raises :class:`InvalidRequest` for an unknown one, for "other" without a description or with
    one of more than 2,000 characters, and :class:`Forbidden` with the reason for a purpose that
    is refused.
    """
    purpose = BY_KEY.get(key)
    if purpose is None:
        raise InvalidRequest(
            f"Expected a purpose out of {', '.join(BY_KEY)}. Received {key!r}.", field="purpose"
        )
    if purpose.refusal is not None:
        raise Forbidden(purpose.refusal, field="purpose", purpose=key)
    if key == "other" and len(description.strip()) < 10:
        raise InvalidRequest(
            "Describe the purpose in at least ten characters, so that a reader of the report "
            "knows what people were photographed for.",
            field="purpose_text",
        )
    if len(description.strip()) > MAX_DESCRIPTION:
        raise InvalidRequest(
            f"Describe the purpose in at most {MAX_DESCRIPTION} characters.", field="purpose_text"
        )
    return purpose
