"""The web application, put together from its groups of pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from fastapi import FastAPI

import nurture
from nurture.db.session import Database
from nurture.mail.keys import KeyRing
from nurture.web import health, metrics, unsubscribe
from nurture.web.site import Site


def create_app(
    database: Database, ring: KeyRing, *, clock: Callable[[], datetime], metrics_token: str | None = None
) -> FastAPI:
    """Return the application over an opened database; `clock` returns program time. Nothing is started by it."""
    app = FastAPI(
        title="nurture",
        version=nurture.__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # one-click unsubscribing must never meet a redirect (RFC 8058)
    )
    app.state.site = Site(database, ring, clock, metrics_token)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(unsubscribe.router)
    return app
