"""What a study's notice says at first, for its researcher to change. A notice is in the language of
its people, whatever language the researcher's pages have.
"""

from __future__ import annotations

from typing import Final

LANGUAGES: Final = {"en": "English", "de": "Deutsch"}

NOTICES: Final = {
    "en": (
        "Thank you for your help. We would like to know how people react to what you are about to "
        "see, so that it can be made better.\n\n"
        "The legal basis is your consent (GDPR, Article 6(1)(a) and Article 9(2)(a)). You may ask "
        "us at any time what is stored, and complain to a data protection authority. Taking part "
        "or not has no consequences for you."
    ),
    "de": (
        "Vielen Dank für Ihre Hilfe. Wir möchten wissen, wie Menschen auf das reagieren, was Sie "
        "gleich sehen, um es zu verbessern.\n\n"
        "Rechtsgrundlage ist Ihre Einwilligung (DSGVO, Artikel 6 Absatz 1 Buchstabe a und Artikel "
        "9 Absatz 2 Buchstabe a). Sie können jederzeit bei uns erfragen, was gespeichert ist, und "
        "sich bei einer Datenschutzbehörde beschweren. Ob Sie teilnehmen oder nicht, hat für Sie "
        "keine Folgen."
    ),
}
