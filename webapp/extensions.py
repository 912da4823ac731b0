"""Flask extensions that views decorate themselves with; ``create_app`` binds them."""

from __future__ import annotations

from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

# Limits are kept in this process: one web process serves, and a restart may forget them.
# The moving window lets no double portion through at the turn of a minute.
limiter = Limiter(
    get_remote_address,
    storage_uri="memory://",
    strategy="moving-window",
    headers_enabled=True,
)
