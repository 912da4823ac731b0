"""Secrets of studies: links, codes of people who take part, signed addresses and codes at the end.

Codes are stored as SHA-256 only: they are long and random, so nothing slower is needed.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from itsdangerous import BadData, URLSafeTimedSerializer

# Crockford's base 32: no I, L, O, U. Sixteen characters are 80 bits.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISREAD: Final = str.maketrans({"I": "1", "L": "1", "O": "0", "-": None, " ": None})
_LENGTH, _GROUP = 16, 4
ADDRESS_S: Final = 6 * 3600  # how long the address of a stimulus is good for


def new_link() -> str:
    return secrets.token_urlsafe(24)


def new_code() -> str:
    """The secret of one participation."""
    return secrets.token_urlsafe(32)


def new_withdrawal_code() -> str:
    """For people to write down, such as ``7KQ2-M9XP-4TVA-0B3D``."""
    text = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    return "-".join(text[i : i + _GROUP] for i in range(0, _LENGTH, _GROUP))


def hash_of(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


def withdrawal_hash(code: str) -> str:
    """Of a code as somebody types it: small letters, no dashes, O for 0."""
    return hash_of(code.strip().upper().translate(_MISREAD)[: 4 * _LENGTH])


def completion_code(secret: str, who: str) -> str:
    """What proves that ``who`` (the panel's id, else our own) finished: 20 hexadecimal digits.

    HMAC-SHA256 with the study's completion secret, so that a panel can compute it too.

    >>> completion_code("secret", "P-1")
    '106395edd8863c4c8008'
    """
    return hmac.new(secret.encode(), who.encode(), hashlib.sha256).hexdigest()[:20]


def _signer(key: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(key, salt="mien.study.stimulus")


def sign_address(key: str, participant_id: str, stimulus_id: str) -> str:
    """What lets one participant read one stimulus for ``ADDRESS_S``."""
    return str(_signer(key).dumps([participant_id, stimulus_id]))


def read_address(key: str, text: str, stimulus_id: str) -> str | None:
    """The participant's id, or None for an address that is not ours, too old, or another's."""
    try:
        participant_id, of = _signer(key).loads(text, max_age=ADDRESS_S)
    except (BadData, ValueError, TypeError):
        return None
    return participant_id if of == stimulus_id and isinstance(participant_id, str) else None


def origin_of(address: str) -> str | None:
    """``https://host[:port]`` of an address in small letters; None where it is no web address.

    >>> origin_of("https://Panel.example/back?x=1"), origin_of("javascript:alert(1)")
    ('https://panel.example', None)
    """
    if len(address) > 2000 or not address.isprintable() or "\\" in address:
        return None
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    local = host in ("localhost", "127.0.0.1")
    if not host or parts.username is not None or parts.password is not None:
        return None
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        return None
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}"


def with_query(address: str, **values: str) -> str:
    """The address with ``values`` in its query, in place of what it has of the same names."""
    parts = urlsplit(address)
    query = [(name, value) for name, value in parse_qsl(parts.query, True) if name not in values]
    return urlunsplit(parts._replace(query=urlencode(query + list(values.items()))))
