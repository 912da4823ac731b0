"""The application factory: configuration, extensions and blueprints, nothing else."""

from __future__ import annotations

import secrets

from flask import Flask

from webapp import ROOT, __version__
from webapp.admin import init_admin
from webapp.api import docs
from webapp.api import routes as api
from webapp.live import pages
from webapp.live.events import init_live
from webapp.monitoring import health
from webapp.monitoring.logs import init_requests
from webapp.monitoring.metrics import Metrics
from webapp.monitoring.status import init_figures
from webapp.mood.routes import init_mood
from webapp.settings import Settings
from webapp.studies.access import init_access
from webapp.studies.routes import init_studies
from webapp.survey.routes import init_surveys
from webapp.survey.sharing import init_sharing
from webapp.web.assets import init_assets, version_of
from webapp.web.bodies import SMALL_BODY_BYTES
from webapp.web.extensions import limiter, limits_config
from webapp.web.headers import (
    Sessions,
    add_security_headers,
    believe_proxies,
)
from webapp.web.hosts import HostCheck
from webapp.web.http_errors import add_error_handlers
from webapp.web.language_choice import init_languages
from webapp.web.open_database import init_database
from webapp.web.production import check_production
from webapp.web.services import (
    EXTENSION,
    Inference,
    ModelRegistry,
    NoInference,
    Services,
)
from webapp.web.strict_input import init_input


def create_app(
    settings: Settings,
    inference: Inference | None = None,
    registry: ModelRegistry | None = None,
) -> Flask:
    """Make the application.

    ``inference`` is an :class:`~webapp.inference.client.InferenceService` or anything with its
    methods; without one every analysis is answered with ``inference_unavailable``.
    Raises :class:`~webapp.errors.SettingsError` for settings that are unfit for production.
    """
    check_production(settings)
    static = ROOT / "static"
    app = Flask(
        "webapp",
        root_path=str(ROOT / "webapp"),
        template_folder=str(ROOT / "templates"),
        static_folder=str(static),
        static_url_path=f"/static/{version_of(static)}",
    )
    app.request_class = api.PrivateRequest
    app.session_interface = Sessions()
    init_input(app)
    init_assets(app)
    init_languages(app)
    app.config.update(
        SECRET_KEY=settings.secret_key or secrets.token_urlsafe(32),
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=SMALL_BODY_BYTES,  # views that take more raise it for themselves
        **limits_config(settings),
    )
    used = inference if inference is not None else NoInference()
    metrics = Metrics(used)
    services = Services(settings, used, registry, metrics)
    app.extensions[EXTENSION] = services
    app.jinja_env.globals["mien_version"] = __version__

    init_requests(app)
    limiter.init_app(app)
    init_database(app)
    init_live(app, services)
    add_security_headers(app, settings)
    add_error_handlers(app)

    app.register_blueprint(pages.blueprint)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(api.blueprint)
    app.register_blueprint(docs.blueprint)
    init_mood(app)
    init_surveys(app)
    init_studies(app, services)
    init_admin(app)
    init_sharing(app)  # after the gate of init_admin: who is not known is refused first
    init_access(app)
    init_figures(app)
    believe_proxies(app, settings.trusted_proxies)
    app.wsgi_app = HostCheck(app.wsgi_app, settings)  # type: ignore[method-assign, assignment]
    return app
