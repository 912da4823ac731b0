"""Every setting in one table: name, default, unit and help.

A setting ``live_max_fps`` is read from the environment variable ``MIEN_LIVE_MAX_FPS``. Unknown
``MIEN_*`` names are refused so that a typing error cannot silently change nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webapp.errors import SettingsError

if TYPE_CHECKING:
    from typing import Self

PREFIX = "MIEN_"
# Tells the tests where their data and browser are; the servers that they start inherit it.
TEST_PREFIX = "MIEN_TEST_"


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table; ``default``'s type is the setting's type."""

    name: str
    default: Any
    unit: str
    help: str
    minimum: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()


SETTINGS: tuple[Setting, ...] = (
    Setting("host", "127.0.0.1", "address", "Address to listen on; 0.0.0.0 for every interface."),
    Setting("port", 5000, "port", "TCP port to listen on.", minimum=0),
    Setting(
        "async_mode",
        "eventlet",
        "name",
        "How Socket.IO serves connections.",
        choices=("eventlet", "threading", "gevent"),
    ),
    Setting(
        "secret_key",
        "",
        "text",
        "Signs session cookies; empty keeps a random one in the instance folder.",
    ),
    Setting(
        "require_login",
        False,
        "switch",
        "true lets only people who are logged in, and bearer tokens, see anything.",
    ),
    Setting(
        "session_hours", 12, "hours", "A browser unused for this long is logged out.", minimum=1
    ),
    Setting(
        "production",
        False,
        "switch",
        "Refuse to start with what is fit for one desk only: a secret key that is not set.",
    ),
    Setting(
        "trusted_proxies",
        0,
        "proxies",
        "Reverse proxies in front of us whose X-Forwarded-For and -Proto are believed.",
        minimum=0,
    ),
    Setting(
        "https",
        False,
        "switch",
        "Speak HTTPS, with a certificate made here unless MIEN_TLS_CERTIFICATE names one.",
    ),
    Setting("tls_certificate", "", "path", "PEM file with a certificate that others signed."),
    Setting("tls_key", "", "path", "PEM file with the key of that certificate."),
    Setting(
        "hsts_s",
        31_536_000,
        "s",
        "How long browsers shall insist on HTTPS; not sent for a certificate made here. 0: never.",
        minimum=0,
    ),
    Setting("models_dir", "models", "path", "Folder of model versions and the ACTIVE file."),
    Setting(
        "allowed_origins",
        "",
        "origins",
        "Origins beside our own that may open a socket, separated by commas.",
    ),
    Setting(
        "workers",
        0,
        "processes",
        "Inference worker processes; 0 means one less than the cores, at least two.",
        minimum=0,
    ),
    Setting(
        "worker_memory_mb",
        2048,
        "MB",
        "A worker above this resident size is replaced between two requests.",
        minimum=0,
    ),
    Setting(
        "worker_sandbox",
        "auto",
        "name",
        "Whether workers give up network, writing and programs: where the system can, or else "
        "not start, or never.",
        choices=("auto", "require", "off"),
    ),
    Setting("worker_user", "", "user", "User that workers become when Mien runs as root."),
    Setting(
        "inference_timeout_ms",
        5000,
        "ms",
        "A live or API request unanswered after this long is an error.",
        minimum=1,
    ),
    Setting(
        "worker_start_timeout_ms",
        20000,
        "ms",
        "A worker not ready after this long is killed and started again.",
        minimum=1,
    ),
    Setting(
        "worker_hang_ms",
        10000,
        "ms",
        "A worker busy with one request for longer than this is killed.",
        minimum=1,
    ),
    Setting(
        "worker_restart_budget",
        5,
        "restarts",
        "Restarts within a minute before back-off delays the next one.",
        minimum=1,
    ),
    Setting(
        "max_frame_bytes",
        900_000,
        "bytes",
        "Largest live frame; below Socket.IO's own limit of 1 MB.",
        minimum=1,
    ),
    Setting("max_image_bytes", 20_000_000, "bytes", "Largest picture over HTTP.", minimum=1),
    Setting(
        "max_image_pixels",
        40_000_000,
        "pixels",
        "Largest picture by width times height, checked before decoding.",
        minimum=1,
    ),
    Setting("live_max_sessions", 64, "connections", "Live connections at one time.", minimum=1),
    Setting(
        "max_connections_per_address",
        256,
        "connections",
        "Connections of any kind from one address without a trusted proxy; 0 means no limit.",
        minimum=0,
    ),
    Setting(
        "live_max_sessions_per_address",
        16,
        "connections",
        "Live connections from one address.",
        minimum=1,
    ),
    Setting("live_max_fps", 40, "frames/s", "Live frames accepted from one connection.", minimum=1),
    Setting(
        "live_idle_timeout_s",
        300,
        "s",
        "A live connection that sends no frame for this long is closed.",
        minimum=1,
    ),
    Setting(
        "live_scan_every",
        5,
        "frames",
        "Full detector scan every so many frames; between, only around known faces.",
        minimum=1,
    ),
    Setting(
        "api_rate_per_minute",
        120,
        "requests/min",
        "POST /api/v1/analyze requests from one address.",
        minimum=1,
    ),
    Setting(
        "instance_dir", "instance", "path", "Folder of the SQLite database and survey pictures."
    ),
    Setting(
        "survey_max_files", 50_000, "files", "Files in one survey, ZIP members counted.", minimum=1
    ),
    Setting(
        "survey_max_video_bytes",
        2_000_000_000,
        "bytes",
        "Largest video file of a survey; pictures keep to max_image_bytes.",
        minimum=1,
    ),
    Setting(
        "survey_max_archive_bytes", 4_000_000_000, "bytes", "Largest ZIP of a survey.", minimum=1
    ),
    Setting(
        "survey_max_unpacked_bytes",
        8_000_000_000,
        "bytes",
        "Most that one ZIP may hold after decompression.",
        minimum=1,
    ),
    Setting(
        "survey_part_bytes",
        8_000_000,
        "bytes",
        "ZIPs and videos above this are sent in parts of it, so that a cut-off upload goes on.",
        minimum=65_536,
    ),
    Setting(
        "survey_part_hours",
        48,
        "hours",
        "What a cut-off upload left is deleted when nobody goes on with it for this long.",
        minimum=1,
    ),
    Setting("survey_max_video_s", 3600, "s", "Longest part of a video that is sampled.", minimum=1),
    Setting(
        "survey_parallel",
        0,
        "requests",
        "Pictures a survey keeps in analysis at a time; 0 means two for each worker.",
        minimum=0,
    ),
    Setting(
        "survey_unanalysed_days",
        7,
        "days",
        "Pictures of a survey that was never analysed are deleted after this long.",
        minimum=1,
    ),
    Setting(
        "survey_sweep_s",
        600,
        "s",
        "How often pictures past their retention date are looked for.",
        minimum=1,
    ),
    Setting(
        "survey_min_cell",
        5,
        "faces",
        "Groups and emotions with fewer faces are shown but not tested.",
        minimum=1,
    ),
    Setting(
        "media_url",
        "",
        "URL",
        "Where several nodes keep survey files, such as s3://bucket/folder; empty: instance_dir.",
    ),
    Setting(
        "models_url",
        "",
        "URL",
        "Where several nodes share model versions; each keeps a copy in models_dir.",
    ),
    Setting(
        "message_queue",
        "",
        "URL",
        "Redis that joins several nodes, such as redis://host:6379/0; empty for one node.",
    ),
    Setting(
        "survey_executor",
        "embedded",
        "name",
        "Who analyses surveys: this process's workers, or Celery workers over message_queue.",
        choices=("embedded", "celery"),
    ),
    Setting("survey_chunk", 16, "files", "Files that a Celery worker takes at a time.", minimum=1),
    Setting(
        "cluster_poll_s",
        5,
        "s",
        "How often a node looks for another active model, and tells the others of itself.",
        minimum=1,
    ),
    Setting(
        "swap_watch_s",
        60,
        "s",
        "How long a new model is watched; too many errors bring the one before back.",
        minimum=1,
    ),
    Setting(
        "swap_max_error_percent",
        5,
        "%",
        "Failed frames that a new model may have, or twice what the one before it had.",
        minimum=0,
    ),
    Setting(
        "swap_min_errors",
        5,
        "frames",
        "Failed frames before a new model can be taken back by itself.",
        minimum=1,
    ),
    Setting(
        "model_max_upload_bytes",
        1_000_000_000,
        "bytes",
        "Largest model or evaluation set that can be uploaded.",
        minimum=1,
    ),
    Setting(
        "model_check_memory_mb",
        4096,
        "MB",
        "Memory that checking an uploaded model may use.",
        minimum=256,
    ),
    Setting(
        "model_check_s",
        900,
        "s",
        "How long checking an uploaded model may take.",
        minimum=10,
    ),
    Setting(
        "mood_window_ms",
        2000,
        "ms",
        "A state is the mood once it had most of this much time.",
        minimum=500,
    ),
    Setting(
        "mood_max_listeners", 8, "listeners", "Listeners to one shared mood at a time.", minimum=1
    ),
    Setting(
        "mood_heartbeat_s",
        15,
        "s",
        "A mood stream without news says that it lives this often.",
        minimum=1,
    ),
    Setting(
        "mood_rate_per_minute",
        60,
        "requests/min",
        "Mood streams opened from one address, wrong codes counted.",
        minimum=1,
    ),
    Setting(
        "mood_webhooks",
        "",
        "addresses",
        "Where shared moods are sent, separated by commas, if the person agrees.",
    ),
    Setting(
        "mood_webhook_secret",
        "",
        "text",
        "Signs webhook messages: whsec_ and base64, or any text.",
    ),
    Setting(
        "log_level",
        "INFO",
        "level",
        "Least severe log line that is written.",
        choices=("DEBUG", "INFO", "WARNING", "ERROR"),
    ),
    Setting(
        "log_format",
        "console",
        "name",
        "Log lines for people, or one JSON object each without what native libraries print.",
        choices=("console", "json"),
    ),
    Setting("log_addresses", False, "switch", "Write the address of who asks into the log."),
    Setting(
        "slow_frame_ms",
        0,
        "ms",
        "Live frames that take longer are logged with the time of each stage; 0 logs none.",
        minimum=0,
    ),
)

_BY_NAME = {setting.name: setting for setting in SETTINGS}


_SWITCH = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(
    ("0", "false", "no", "off", ""), False
)


def _parse(setting: Setting, text: str) -> Any:
    kind = type(setting.default)
    try:
        value: Any = _SWITCH[text.strip().lower()] if kind is bool else kind(text)
    except (ValueError, KeyError) as error:
        raise SettingsError(
            f"{setting.variable}: expected {kind.__name__} ({setting.unit}), received {text!r}.",
            variable=setting.variable,
        ) from error
    return value


def _check(setting: Setting, value: Any) -> None:
    if setting.minimum is not None and value < setting.minimum:
        raise SettingsError(
            f"{setting.variable}: expected at least {setting.minimum} {setting.unit}, "
            f"received {value!r}.",
            variable=setting.variable,
        )
    if setting.choices and value not in setting.choices:
        raise SettingsError(
            f"{setting.variable}: expected one of {', '.join(setting.choices)}, "
            f"received {value!r}.",
            variable=setting.variable,
        )


class Settings:
    """Frozen values of every row of :data:`SETTINGS`, as attributes.

    ``Settings(port=0)`` overrides single values; ``Settings.from_environment()`` reads MIEN_*.
    Raises :class:`SettingsError` for an unknown name or an unusable value.
    """

    __slots__ = ("_values",)
    _values: dict[str, Any]

    def __init__(self, **overrides: Any) -> None:
        unknown = sorted(set(overrides) - set(_BY_NAME))
        if unknown:
            raise SettingsError(f"Unknown settings: {', '.join(unknown)}.", unknown=unknown)
        values = {setting.name: setting.default for setting in SETTINGS} | overrides
        for name, value in values.items():
            _check(_BY_NAME[name], value)
        object.__setattr__(self, "_values", values)

    def __getattr__(self, name: str) -> Any:
        try:
            return object.__getattribute__(self, "_values")[name]
        except KeyError:
            raise AttributeError(f"no setting is named {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("settings are frozen; make a new Settings with the override")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, **overrides: Any) -> Self:
        """Read MIEN_* variables; ``overrides`` win. Raises :class:`SettingsError`."""
        environ = os.environ if environ is None else environ
        known = {setting.variable: setting for setting in SETTINGS}
        mine = {
            name: text
            for name, text in environ.items()
            if name.startswith(PREFIX) and not name.startswith(TEST_PREFIX)
        }
        unknown = sorted(set(mine) - set(known))
        if unknown:
            raise SettingsError(
                f"Unknown environment variables: {', '.join(unknown)}. "
                "The README's settings table lists the known ones.",
                unknown=unknown,
            )
        parsed = {known[name].name: _parse(known[name], text) for name, text in mine.items()}
        return cls(**(parsed | overrides))

    @property
    def models_path(self) -> Path:
        return Path(self.models_dir)

    @property
    def instance_path(self) -> Path:
        return Path(self.instance_dir)

    @property
    def worker_count(self) -> int:
        """Number of worker processes after resolving 0 to ``max(2, cores - 1)``.

        Two even on two cores: the web process needs a fifth of one (8 cameras at 15 frames/s:
        95 % of results within 28 ms with two workers, 146 ms with one), and when one worker dies
        the other goes on.
        """
        return int(self.workers) or max(2, (os.cpu_count() or 2) - 1)

    def as_dict(self) -> dict[str, Any]:
        return dict(self._values)


def markdown_table() -> str:
    """The README's table of settings, made from :data:`SETTINGS`."""
    rows = ["| variable | default | unit | what it does |", "|---|---|---|---|"]
    for setting in SETTINGS:
        text = str(setting.default)
        text = text.lower() if isinstance(setting.default, bool) else text
        default = f"`{text}`" if text else "none"
        choices = f" One of {', '.join(setting.choices)}." if setting.choices else ""
        rows.append(
            f"| `{setting.variable}` | {default} | {setting.unit} | {setting.help}{choices} |"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    print(markdown_table())
