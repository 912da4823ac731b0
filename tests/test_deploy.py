"""The files in deploy/, as far as they can be checked without the machines they are for."""

from __future__ import annotations

import ast
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.support.build_uploads import ALPHABETICAL
from tests.support.data import REPOSITORY
from tests.support.uploads import faces_zip, upload_files
from tests.test_import_rules import imports
from tools import serve_pins
from webapp.errors import SettingsError
from webapp.models.inspection import inspect
from webapp.models.verify import TIMEOUT_S as VERIFY_TIMEOUT_S
from webapp.server.tls import own_certificate
from webapp.settings import PREFIX, SETTINGS, Settings
from webapp.web.production import check_production

DEPLOY = REPOSITORY / "deploy"
ONLY_CONVERTING = {"tensorflow", "keras", "h5py"}
KNOWN = {setting.variable for setting in SETTINGS}
# read by the compose file and the Caddyfile themselves
ELSEWHERE = {"MIEN_DOMAIN", "MIEN_UPSTREAM"}


def pins(path: Path) -> set[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return {line.strip() for line in lines if line.strip() and line[0] not in "#-"}


def package(pin: str) -> str:
    return re.split(r"[=;\[ ]", pin)[0].lower()


def test_serving_pins_are_the_runtimes_without_what_only_converts() -> None:
    runtime = pins(REPOSITORY / "requirements.txt")
    serving = pins(DEPLOY / "requirements-serve.txt")
    text = (DEPLOY / "requirements-serve.txt").read_text(encoding="utf-8")
    assert text == serve_pins.serving(), "run: python tools/serve_pins.py"
    assert {package(pin) for pin in runtime - serving} == ONLY_CONVERTING


def test_serving_never_imports_what_the_image_leaves_out() -> None:
    for path in (REPOSITORY / "webapp").rglob("*.py"):
        top = {name.partition(".")[0] for name in imports(path)}
        assert not top & ONLY_CONVERTING, path


@pytest.mark.parametrize("path", sorted(DEPLOY.iterdir()), ids=lambda path: path.name)
def test_every_setting_that_is_named_exists(path: Path) -> None:
    named = set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", path.read_text(encoding="utf-8")))
    assert named - ELSEWHERE <= KNOWN


def test_the_image_is_small_unprivileged_and_watched() -> None:
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"))
    steps = [line.split(None, 1) for line in text.splitlines() if line and line[0] not in "# "]
    last = max(i for i, step in enumerate(steps) if step[0] == "FROM")
    final = dict(steps[last:])
    assert len([step for step in steps if step[0] == "FROM"]) == 3
    assert all(":" in step[1] and "latest" not in step[1] for step in steps if step[0] == "FROM")
    assert final["USER"] == "mien"
    command = final["HEALTHCHECK"].split("CMD", 1)[1].strip()
    program = ast.literal_eval(command)
    compile(program[2], "healthcheck", "exec")
    assert "/readyz" in program[2]
    # exec, so that SIGTERM reaches the server and not a shell
    assert ast.literal_eval(final["CMD"])[-1].endswith("exec python wsgi.py")
    assert "models bring models;" in ast.literal_eval(final["CMD"])[-1]
    for step in steps:
        if step[0] == "COPY" and "--from" not in step[1]:
            *sources, _ = [part for part in step[1].split() if not part.startswith("--")]
            assert all((REPOSITORY / source).exists() for source in sources), step


def test_what_the_image_copies_is_not_ignored() -> None:
    kept = {
        line[1:]
        for line in (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    assert all((REPOSITORY / path).exists() for path in kept)
    assert {"webapp", "models", "static", "templates", "wsgi.py"} <= kept


def test_compose_has_no_default_secret_and_every_service_is_watched_or_restarted() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    services = compose["services"]
    assert set(services) == {"web", "postgres", "redis", "proxy"}
    for service in services.values():
        assert service["restart"] == "unless-stopped"
        assert "build" in service or ":" in service["image"]
        for name, value in service.get("environment", {}).items():
            if re.search(r"SECRET|PASSWORD", name) or "PASSWORD" in str(value):
                assert ":?" in value, name
        for name in service.get("depends_on", {}):
            assert name in services
    web = services["web"]
    assert "ports" not in web  # only the proxy is reached from outside
    assert web["cap_drop"] == ["ALL"]
    used = {
        volume.partition(":")[0]
        for service in services.values()
        for volume in service.get("volumes", ())
        if not volume.startswith(".")
    }
    assert used == set(compose["volumes"])


def test_every_way_through_nginx_sets_the_same_headers() -> None:
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    places = re.findall(r"location [^{]*{([^}]*)}", text)
    assert len(places) == 4
    assert not any("proxy_set_header" in place for place in places)


def given_by_compose() -> dict[str, str]:
    """The environment of the web container: the image's, and compose's over it."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"))
    image = dict(re.findall(r"(MIEN_\w+)=(\S+)", text.rpartition("\nENV ")[2].split("\n")[0]))
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    ours = compose["services"]["web"]["environment"]
    return image | {
        name: re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: YOURS[found[1]], value)
        for name, value in ours.items()
        if name.startswith(PREFIX)
    }


def given_by_systemd() -> dict[str, str]:
    """The environment of the service, with the file that its head asks for."""
    text = (DEPLOY / "mien.service").read_text(encoding="utf-8")
    lines = re.findall(r"^Environment=(.*)$", text, re.MULTILINE)
    named = dict(re.findall(r"(MIEN_\w+)=(\S+)", " ".join(lines)))
    asked = re.search(r"/etc/mien.env +# (.*)", text)
    assert asked is not None
    for name in re.findall(r"(MIEN_\w+)=", asked[1]):
        named[name] = YOURS[name]
    return named


YOURS = {
    "MIEN_SECRET_KEY": secrets.token_urlsafe(48),
    "MIEN_DOMAIN": "mien.example.org",
    "MIEN_ALLOWED_HOSTS": "mien.example.org",
    "POSTGRES_PASSWORD": "unused",
}


@pytest.mark.parametrize("example", [given_by_compose, given_by_systemd])
def test_examples_publish_no_server_that_is_open(example: Callable[[], dict[str, str]]) -> None:
    given = example()
    assert Settings.from_environment(given).production
    check_production(Settings.from_environment(given), {})
    for name in (
        "MIEN_SECRET_KEY",
        "MIEN_REQUIRE_LOGIN",
        "MIEN_ALLOWED_HOSTS",
        "MIEN_TRUSTED_PROXIES",
    ):
        less = {key: value for key, value in given.items() if key != name}
        less["MIEN_HOST"] = "0.0.0.0"
        with pytest.raises(
            SettingsError, match=f"- MIEN_{'HTTPS' if 'PROX' in name else name[5:]}"
        ):
            check_production(Settings.from_environment(less), {})


@pytest.mark.parametrize("file", ["nginx.conf", "Caddyfile"])
def test_proxies_say_what_the_server_behind_them_needs(file: str) -> None:
    head = (DEPLOY / file).read_text(encoding="utf-8")[:600]
    for needed in ("PRODUCTION", "REQUIRE_LOGIN", "TRUSTED_PROXIES", "ALLOWED_HOSTS"):
        assert PREFIX + needed in head


def test_nginx_waits_for_the_longest_answer() -> None:
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    waits = re.search(r"^    proxy_read_timeout (\d+)s;", text, re.MULTILINE)
    assert waits is not None
    assert int(waits[1]) > VERIFY_TIMEOUT_S


@pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx: it is not installed")
def test_nginx_takes_its_example(tmp_path: Path) -> None:
    made = own_certificate(tmp_path, "127.0.0.1")
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    text = text.replace("/etc/ssl/mien/fullchain.pem", str(made.certificate))
    text = text.replace("/etc/ssl/mien/key.pem", str(made.key))
    (tmp_path / "mien.conf").write_text(text, encoding="utf-8")
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}}\n"
        f"http {{ access_log off; include {tmp_path}/mien.conf; }}\n"
    )
    command = ["nginx", "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd: it is not installed"
)
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "mien.service"
    text = (DEPLOY / "mien.service").read_text(encoding="utf-8")
    # the program lies elsewhere here, and systemd looks whether it is there
    unit.write_text(text.replace("/opt/mien/.venv/bin/python", "/bin/true"), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "mien.service" in line]
    assert ours == []


def copied_into_the_image() -> list[str]:
    """What the last stage of the Dockerfile copies from the repository, if Docker is shown it."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    copied = [
        source
        for line in text.splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    shown = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert all(f"!{source}" in shown for source in copied)
    return copied


@pytest.mark.parametrize("upload", ["faces", pytest.param("model", marks=pytest.mark.slow)])
def test_the_image_has_what_the_check_of_an_upload_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, upload: str
) -> None:
    image, work, missing = tmp_path / "app", tmp_path / "work", tmp_path / "missing"
    image.mkdir()
    for source in copied_into_the_image():
        whole = REPOSITORY / source
        if source in {"models", "static", "templates"}:
            continue  # the check reads none of them
        if whole.is_dir():
            shutil.copytree(whole, image / source, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(whole, image / source)
    missing.mkdir()
    for name in ("torch", "matplotlib", "sklearn", "tensorboard"):  # in no image
        (missing / f"{name}.py").write_text(f"raise ModuleNotFoundError({name!r}, name={name!r})")
    work.mkdir()
    request: dict[str, object]
    if upload == "faces":
        (work / "faces.zip").write_bytes(faces_zip(1))
        request = {"kind": "faces", "file": "faces.zip"}
    else:
        shutil.copy(upload_files() / "good.keras", work / "good.keras")
        request = {"kind": "model", "file": "good.keras", "filename": "good.keras"}
        request |= {"version": "new", "labels": list(ALPHABETICAL)}
    monkeypatch.setattr("webapp.sandbox.ROOT", image)
    monkeypatch.setenv("PYTHONPATH", str(missing))
    assert inspect(work, request, Settings(), lambda step: None, lambda: False)
    assert upload == "faces" or (work / "version" / "model.tflite").is_file()
