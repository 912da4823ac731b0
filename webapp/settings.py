"""Every setting: a field of :class:`Settings` with its default, unit and help.

A setting ``live_max_fps`` is read from the environment variable ``MIEN_LIVE_MAX_FPS``. Unknown
``MIEN_*`` names are refused so that a typing error cannot silently change nothing.

Longer than 400 lines because it is one table of all settings.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from webapp.errors import SettingsError

if TYPE_CHECKING:
    from typing import Self

PREFIX = "MIEN_"
T = TypeVar("T", bool, int, str)
# Tells the tests where their data and browser are; the servers that they start inherit it.
TEST_PREFIX = "MIEN_TEST_"

_SWITCH = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(
    ("0", "false", "no", "off", ""), False
)


def setting(
    default: T,
    unit: str,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
) -> T:
    """A field of :class:`Settings`; the type of ``default`` is the setting's type."""
    facts = {
        "unit": unit, "help": help, "minimum": minimum, "maximum": maximum, "choices": choices,
    }  # fmt: skip
    value: T = field(default=default, metadata=facts)
    return value


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The value of every setting.

    ``Settings(port=0)`` overrides single values; ``Settings.from_environment()`` reads MIEN_*.
    Raises :class:`SettingsError` for an unusable value.
    """

    host: str = setting(
        "127.0.0.1", "address", "Address to listen on; 0.0.0.0 for every interface."
    )
    port: int = setting(5000, "port", "TCP port to listen on.", minimum=0, maximum=65_535)
    async_mode: str = setting(
        "eventlet",
        "name",
        "How Socket.IO serves connections; threading has no limits on connections and is for tests "
        "and for trying Mien out.",
        choices=("eventlet", "threading"),
    )
    secret_key: str = setting(
        "", "text", "Signs session cookies; empty keeps a random one in the instance folder."
    )
    require_login: bool = setting(
        False, "switch", "true lets only people who are logged in, and bearer tokens, see anything."
    )
    session_hours: int = setting(
        12, "hours", "A browser unused for this long is logged out.", minimum=1
    )
    session_max_hours: int = setting(
        168, "hours", "A browser is logged out after this long, however much it is used.", minimum=1
    )
    production: bool = setting(
        False,
        "switch",
        "Refuse to start with anything open: no login, no key of one's own, any host name, plain "
        "HTTP, no confinement. Says what to set.",
    )
    trusted_proxies: int = setting(
        0,
        "proxies",
        "Reverse proxies in front of us whose X-Forwarded-For and -Proto are believed.",
        minimum=0,
    )
    https: bool = setting(
        False,
        "switch",
        "Speak HTTPS, with a certificate made here unless MIEN_TLS_CERTIFICATE names one.",
    )
    tls_certificate: str = setting("", "path", "PEM file with a certificate that others signed.")
    tls_key: str = setting("", "path", "PEM file with the key of that certificate.")
    hsts_s: int = setting(
        31_536_000,
        "s",
        "How long browsers shall insist on HTTPS; not sent for a certificate made here. 0: never.",
        minimum=0,
    )
    models_dir: str = setting("models", "path", "Folder of model versions and the ACTIVE file.")
    allowed_origins: str = setting(
        "", "origins", "Origins beside our own that may open a socket, separated by commas."
    )
    allowed_hosts: str = setting(
        "",
        "names",
        "Host names of ours, separated by commas; .name for all below it, * for every one. "
        "Addresses, localhost and this machine's own name need not be named, nor any where "
        "MIEN_TRUSTED_PROXIES is set.",
    )
    workers: int = setting(
        0,
        "processes",
        "Inference worker processes; 0 means one less than the cores, at least two.",
        minimum=0,
    )
    worker_memory_mb: int = setting(
        2048, "MB", "A worker above this resident size is replaced between two requests.", minimum=0
    )
    worker_sandbox: str = setting(
        "auto",
        "name",
        "Whether workers give up network, writing and programs: where the system can, or else "
        "not start, or never.",
        choices=("auto", "require", "off"),
    )
    worker_user: str = setting("", "user", "User that workers become when Mien runs as root.")
    inference_timeout_ms: int = setting(
        5000, "ms", "A live or API request unanswered after this long is an error.", minimum=1
    )
    worker_start_timeout_ms: int = setting(
        20000, "ms", "A worker not ready after this long is killed and started again.", minimum=1
    )
    worker_hang_ms: int = setting(
        10000, "ms", "A worker busy with one request for longer than this is killed.", minimum=1
    )
    worker_restart_budget: int = setting(
        5, "restarts", "Restarts within a minute before back-off delays the next one.", minimum=1
    )
    max_frame_bytes: int = setting(
        900_000,
        "bytes",
        "Largest live frame, at most 6 MB; messages above 8 MB end the connection.",
        minimum=1,
        maximum=6_000_000,
    )
    max_image_bytes: int = setting(20_000_000, "bytes", "Largest picture over HTTP.", minimum=1)
    max_image_pixels: int = setting(
        40_000_000,
        "pixels",
        "Largest picture by width times height, checked before decoding.",
        minimum=1,
    )
    max_faces: int = setting(64, "faces", "Faces read in one picture, largest first.", minimum=1)
    detector_model: str = setting(
        "",
        "path",
        "A YuNet ONNX file that finds the faces; empty: the detectors that come with Mien.",
    )
    live_max_sessions: int = setting(64, "connections", "Live connections at one time.", minimum=1)
    max_connections_per_address: int = setting(
        256,
        "connections",
        "Connections of any kind from one address without a trusted proxy; 0 means no limit.",
        minimum=0,
    )
    live_max_sessions_per_address: int = setting(
        16, "connections", "Live connections from one address.", minimum=1
    )
    live_max_fps: int = setting(
        40, "frames/s", "Live frames accepted from one connection.", minimum=1
    )
    live_idle_timeout_s: int = setting(
        300, "s", "A live connection that sends no frame for this long is closed.", minimum=1
    )
    live_scan_every: int = setting(
        5,
        "frames",
        "Full detector scan after so many frames, and 0.6 s, at the earliest; between, only "
        "around known faces.",
        minimum=1,
    )
    api_rate_per_minute: int = setting(
        120, "requests/min", "POST /api/v1/analyze requests from one address.", minimum=1
    )
    instance_dir: str = setting(
        "instance", "path", "Folder of the SQLite database and survey pictures."
    )
    disk_reserve_mb: int = setting(
        256,
        "MB",
        "Uploads stop while less is free on the disk, or less than a tenth of a small one; "
        "0 reserves nothing.",
        minimum=0,
    )
    survey_quota_mb: int = setting(
        50_000,
        "MB",
        "Pictures and videos that one owner's surveys keep together, or one survey that nobody "
        "owns; 0 means no limit.",
        minimum=0,
    )
    surveys_per_hour: int = setting(600, "surveys/h", "Surveys made from one address.", minimum=1)
    survey_max_surveys: int = setting(
        2000,
        "surveys",
        "Surveys of one owner; where no login is required, of everybody together.",
        minimum=1,
    )
    survey_max_files: int = setting(
        50_000, "files", "Files in one survey, ZIP members counted.", minimum=1
    )
    survey_max_video_bytes: int = setting(
        2_000_000_000,
        "bytes",
        "Largest video file of a survey; pictures keep to max_image_bytes.",
        minimum=1,
    )
    survey_max_archive_bytes: int = setting(
        4_000_000_000, "bytes", "Largest ZIP of a survey.", minimum=1
    )
    survey_max_unpacked_bytes: int = setting(
        8_000_000_000, "bytes", "Most that one ZIP may hold after decompression.", minimum=1
    )
    survey_part_bytes: int = setting(
        8_000_000,
        "bytes",
        "ZIPs and videos above this are sent in parts of it, so that a cut-off upload goes on.",
        minimum=65_536,
    )
    survey_part_hours: int = setting(
        48,
        "hours",
        "What a cut-off upload left is deleted when nobody goes on with it for this long.",
        minimum=1,
    )
    survey_max_video_s: int = setting(
        3600, "s", "Longest part of a video that is sampled.", minimum=1
    )
    survey_parallel: int = setting(
        0,
        "requests",
        "Pictures a survey keeps in analysis at a time; 0 means two for each worker.",
        minimum=0,
    )
    survey_unanalysed_days: int = setting(
        7,
        "days",
        "Pictures of a survey that was never analysed are deleted after this long.",
        minimum=1,
    )
    survey_sweep_s: int = setting(
        600, "s", "How often pictures past their retention date are looked for.", minimum=1
    )
    survey_min_cell: int = setting(
        5, "faces", "Groups and emotions with fewer faces are shown but not tested.", minimum=1
    )
    studies_per_hour: int = setting(120, "studies/h", "Studies made from one address.", minimum=1)
    study_max_studies: int = setting(
        500,
        "studies",
        "Studies of one owner; where no login is required, of everybody together.",
        minimum=1,
    )
    study_max_stimuli: int = setting(40, "stimuli", "Pictures and videos in one study.", minimum=1)
    study_max_stimulus_bytes: int = setting(
        200_000_000, "bytes", "Largest picture or video that a study shows.", minimum=1
    )
    study_max_video_s: int = setting(1800, "s", "Longest video that a study shows.", minimum=1)
    study_quota_mb: int = setting(
        10_000,
        "MB",
        "Pictures and videos that one owner's studies show together, or one study that nobody "
        "owns; 0 means no limit.",
        minimum=0,
    )
    study_max_participants: int = setting(
        10_000, "people", "People who can take part in one study.", minimum=1
    )
    study_begins_per_hour: int = setting(
        600,
        "requests/h",
        "People who begin a study from one address, refused ones counted.",
        minimum=1,
    )
    study_requests_per_minute: int = setting(
        300, "requests/min", "Requests of one person who takes part in a study.", minimum=1
    )
    study_max_connections: int = setting(
        64, "connections", "People whose faces are read for studies at one time.", minimum=1
    )
    study_max_fps: int = setting(
        10, "frames/s", "Frames of one person in a study that are read.", minimum=1
    )
    study_resume_hours: int = setting(
        24, "hours", "Who does not go on with a study for this long has left it.", minimum=1
    )
    media_url: str = setting(
        "",
        "URL",
        "Where several nodes keep survey files, such as s3://bucket/folder; empty: instance_dir.",
    )
    models_url: str = setting(
        "", "URL", "Where several nodes share model versions; each keeps a copy in models_dir."
    )
    message_queue: str = setting(
        "",
        "URL",
        "Redis that joins several nodes, such as redis://host:6379/0; empty for one node.",
    )
    survey_executor: str = setting(
        "embedded",
        "name",
        "Who analyses surveys: this process's workers, or Celery workers over message_queue.",
        choices=("embedded", "celery"),
    )
    survey_chunk: int = setting(
        16, "files", "Files that a Celery worker takes at a time.", minimum=1
    )
    cluster_poll_s: int = setting(
        5,
        "s",
        "How often a node looks for another active model, and tells the others of itself.",
        minimum=1,
    )
    swap_watch_s: int = setting(
        60,
        "s",
        "How long a new model is watched; too many errors bring the one before back.",
        minimum=1,
    )
    swap_max_error_percent: int = setting(
        5,
        "%",
        "Failed frames that a new model may have, or twice what the one before it had.",
        minimum=0,
    )
    swap_min_errors: int = setting(
        5, "frames", "Failed frames before a new model can be taken back by itself.", minimum=1
    )
    model_max_upload_bytes: int = setting(
        1_000_000_000, "bytes", "Largest model or evaluation set that can be uploaded.", minimum=1
    )
    model_check_memory_mb: int = setting(
        4096, "MB", "Memory that checking an uploaded model may use.", minimum=256
    )
    model_check_s: int = setting(
        900, "s", "How long checking an uploaded model may take.", minimum=10
    )
    mood_window_ms: int = setting(
        2000, "ms", "A state is the mood once it had most of this much time.", minimum=500
    )
    mood_max_listeners: int = setting(
        8, "listeners", "Listeners to one shared mood at a time.", minimum=1
    )
    mood_heartbeat_s: int = setting(
        15, "s", "A mood stream without news says that it lives this often.", minimum=1
    )
    mood_rate_per_minute: int = setting(
        60, "requests/min", "Mood streams opened from one address, wrong codes counted.", minimum=1
    )
    mood_webhooks: str = setting(
        "", "addresses", "Where shared moods are sent, separated by commas, if the person agrees."
    )
    mood_webhook_secret: str = setting(
        "", "text", "Signs webhook messages: whsec_ and base64, or any text."
    )
    log_level: str = setting(
        "INFO",
        "level",
        "Least severe log line that is written.",
        choices=("DEBUG", "INFO", "WARNING", "ERROR"),
    )
    log_format: str = setting(
        "console",
        "name",
        "Log lines for people, or one JSON object each without what native libraries print.",
        choices=("console", "json"),
    )
    log_addresses: bool = setting(False, "switch", "Write the address of who asks into the log.")
    slow_frame_ms: int = setting(
        0,
        "ms",
        "Live frames that take longer are logged with the time of each stage; 0 logs none.",
        minimum=0,
    )

    def __post_init__(self) -> None:
        for row in SETTINGS:
            row.check(getattr(self, row.name))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, **overrides: Any) -> Self:
        """Read MIEN_* variables; ``overrides`` win. Raises :class:`SettingsError`."""
        environ = os.environ if environ is None else environ
        known = {row.variable: row for row in SETTINGS}
        mine = {
            name: text
            for name, text in environ.items()
            if name.startswith(PREFIX) and not name.startswith(TEST_PREFIX)
        }
        unknown = sorted(set(mine) - set(known))
        if unknown:
            raise SettingsError(
                f"Unknown environment variables: {', '.join(unknown)}. "
                "docs/settings.md lists the known ones.",
                unknown=unknown,
            )
        parsed = {known[name].name: known[name].parse(text) for name, text in mine.items()}
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
        return self.workers or max(2, (os.cpu_count() or 2) - 1)

    @property
    def study_frame_timeout_ms(self) -> int:
        """How long a frame of a study may wait for its result: its time is that of its capture.

        20 s are enough for 64 people with four results a second between them.
        """
        return max(20_000, self.inference_timeout_ms)


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known of one field of :class:`Settings`."""

    name: str
    default: bool | int | str
    unit: str
    help: str
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()

    def parse(self, text: str) -> bool | int | str:
        """Read ``text`` as the default's type. Raises :class:`SettingsError`."""
        kind = type(self.default)
        try:
            return _SWITCH[text.strip().lower()] if kind is bool else kind(text)
        except (ValueError, KeyError) as error:
            raise SettingsError(
                f"{self.variable}: expected {kind.__name__} ({self.unit}), received {text!r}.",
                variable=self.variable,
            ) from error

    def check(self, value: Any) -> None:
        """Raise :class:`SettingsError` for a value out of range or not among the choices."""
        if self.minimum is not None and value < self.minimum:
            expected = f"at least {self.minimum} {self.unit}"
        elif self.maximum is not None and value > self.maximum:
            expected = f"at most {self.maximum} {self.unit}"
        elif self.choices and value not in self.choices:
            expected = f"one of {', '.join(self.choices)}"
        else:
            return
        raise SettingsError(
            f"{self.variable}: expected {expected}, received {value!r}.", variable=self.variable
        )


SETTINGS = tuple(
    Setting(row.name, getattr(Settings, row.name), **row.metadata) for row in fields(Settings)
)


def markdown_table() -> str:
    """The table of docs/settings.md, made from :data:`SETTINGS`."""
    rows = ["| variable | default | unit | what it does |", "|---|---|---|---|"]
    for row in SETTINGS:
        text = str(row.default)
        text = text.lower() if isinstance(row.default, bool) else text
        default = f"`{text}`" if text else "none"
        choices = f" One of {', '.join(row.choices)}." if row.choices else ""
        rows.append(f"| `{row.variable}` | {default} | {row.unit} | {row.help}{choices} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(markdown_table())
