"""Typed errors with one JSON shape for HTTP responses and Socket.IO acknowledgements.

Every error that may reach a client derives from :class:`MienError`. The shape is
``{"error": {"code": str, "message": str, "detail": object}}``.
"""

from __future__ import annotations

from typing import Any, ClassVar


class MienError(Exception):
    """Base of all errors a client may see.

    ``code`` is stable and machine-readable; ``status`` is the HTTP status it maps to.
    ``message`` says what was expected, what was received and what to do.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500

    def __init__(self, message: str, **detail: Any) -> None:
        super().__init__(message)
        self.message = message
        self.detail: dict[str, Any] = detail

    def to_json(self) -> dict[str, Any]:
        """The error in the one shape, ready for ``jsonify`` or an acknowledgement."""
        return {"error": {"code": self.code, "message": self.message, "detail": self.detail}}


class InvalidRequest(MienError):
    """The request's form is wrong: a missing field, a wrong type, a value out of range."""

    code = "invalid_request"
    status = 400


class NotFound(MienError):
    """No such page, survey, model or picture."""

    code = "not_found"
    status = 404


class Gone(MienError):
    """It was here and is over: a study that has ended, has enough people, or was closed."""

    code = "gone"
    status = 410


class Conflict(MienError):
    """The request contradicts the present state (a name taken, a job already running)."""

    code = "conflict"
    status = 409


class Unauthorized(MienError):
    """A login or token is needed and none was given, or it is not valid."""

    code = "unauthorized"
    status = 401


class Forbidden(MienError):
    """The caller is known and may not do this."""

    code = "forbidden"
    status = 403


class PayloadTooLarge(MienError):
    """More bytes than the setting allows."""

    code = "payload_too_large"
    status = 413


class UnsupportedImage(MienError):
    """The bytes are not a picture in a supported format."""

    code = "unsupported_image"
    status = 415


class CorruptImage(MienError):
    """The format is known and the picture cannot be decoded (truncated or damaged)."""

    code = "corrupt_image"
    status = 422


class ImageTooLarge(MienError):
    """The picture's header announces more pixels than the setting allows; it was not decoded."""

    code = "image_too_large"
    status = 413


class RateLimited(MienError):
    """Too many requests or frames from one caller."""

    code = "rate_limited"
    status = 429


class RequestTooSlow(MienError):
    """The body of a request arrives too slowly to wait for its end."""

    code = "request_too_slow"
    status = 408


class FrameInFlight(MienError):
    """A second frame came before the first was answered; the protocol allows one in flight."""

    code = "frame_in_flight"
    status = 409


class TooManySessions(MienError):
    """The server's limit on live connections is reached."""

    code = "too_many_sessions"
    status = 503


class InferenceUnavailable(MienError):
    """No inference worker can take the request now; one is being started again."""

    code = "inference_unavailable"
    status = 503


class InferenceTimeout(MienError):
    """The inference worker did not answer before the deadline."""

    code = "inference_timeout"
    status = 504


class WorkerCrashed(MienError):
    """The inference worker died while it held this request; only this request is lost."""

    code = "worker_crashed"
    status = 502


class DatabaseUnavailable(MienError):
    """The database is away, or somebody else has held its lock for too long."""

    code = "database_unavailable"
    status = 503


class StorageFull(MienError):
    """The disk, or the share of it that we may use, is full."""

    code = "storage_full"
    status = 507


class ModelInvalid(MienError):
    """A model version is missing, damaged, or its card does not fit its files."""

    code = "model_invalid"
    status = 422


class PartDamaged(MienError):
    """A part of a large upload did not arrive as it was announced; sending it again may help."""

    code = "part_damaged"
    status = 422


class StorageUnavailable(MienError):
    """The shared store of pictures or models cannot be reached; nothing is lost, try again."""

    code = "storage_unavailable"
    status = 503


class SettingsError(MienError):
    """A MIEN_* environment variable is unknown or has a value that cannot be used."""

    code = "settings_invalid"
    status = 500


ERRORS_BY_CODE: dict[str, type[MienError]] = {
    cls.code: cls
    for cls in (
        MienError,
        InvalidRequest,
        NotFound,
        Gone,
        Conflict,
        Unauthorized,
        Forbidden,
        PayloadTooLarge,
        UnsupportedImage,
        CorruptImage,
        ImageTooLarge,
        RateLimited,
        RequestTooSlow,
        FrameInFlight,
        TooManySessions,
        InferenceUnavailable,
        InferenceTimeout,
        WorkerCrashed,
        DatabaseUnavailable,
        StorageFull,
        ModelInvalid,
        PartDamaged,
        StorageUnavailable,
        SettingsError,
    )
}


def error_from_json(payload: dict[str, Any]) -> MienError:
    """Rebuild the typed error from its JSON shape (used where an error crosses a process)."""
    body = payload.get("error", {})
    cls = ERRORS_BY_CODE.get(str(body.get("code")), MienError)
    detail = body.get("detail")
    return cls(
        str(body.get("message", "unknown error")), **(detail if isinstance(detail, dict) else {})
    )
