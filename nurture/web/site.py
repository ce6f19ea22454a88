"""What every page stands on: the database, the keys, what time it is, and the look of the pages."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy.exc import SQLAlchemyError

from nurture import live
from nurture.db.session import Database
from nurture.errors import DatabaseError, NotFound
from nurture.mail.keys import KeyRing

_FOLDER = Path(__file__).parent / "templates"
_PAGES = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined)
_STYLE = (_FOLDER / "style.css").read_text("utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",  # the address of a page is a key to it
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}


@dataclass(frozen=True, slots=True)
class Site:
    """An installation as its pages see it; `clock` returns program time.

    `metrics_token` lets scrapers in from elsewhere; without one only this machine may read /metrics.
    """

    database: Database
    ring: KeyRing
    clock: Callable[[], datetime]
    metrics_token: str | None = None

    def company(self) -> str:
        """Return the name of the company, as the live program says it; empty when nobody can say."""
        try:
            with self.database.read() as connection:
                return live.current(connection).company.name
        except (DatabaseError, NotFound, SQLAlchemyError):
            return ""


def of_request(request: Request) -> Site:
    """Return the site that a request came to."""
    site = request.app.state.site
    assert isinstance(site, Site)
    return site


Here = Annotated[Site, Depends(of_request)]


def page(name: str, site: Site, status: int = 200, headers: dict[str, str] | None = None) -> HTMLResponse:
    """Return a page by the name of its template."""
    html = _PAGES.get_template(name).render(company=site.company(), style=_STYLE)
    return HTMLResponse(html, status, {**_HEADERS, **(headers or {})})
