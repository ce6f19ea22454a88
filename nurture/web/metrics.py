"""The numbers that monitoring scrapes, for those who may see them: this machine, or whoever shows the token."""

from __future__ import annotations

import hmac
from ipaddress import ip_address
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import PlainTextResponse, Response

from nurture.vitals import Vitals, exposition
from nurture.web.site import Here

TYPE = "text/plain; version=0.0.4; charset=utf-8"

router = APIRouter()

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


@router.get("/metrics")
def metrics(site: Here, request: Request, authorization: Annotated[str, Header()] = "") -> Response:
    """Answer a scrape; nobody else learns that there is something to scrape."""
    if not (_bears(site.metrics_token, authorization) if site.metrics_token else _local(request)):
        return PlainTextResponse("Not Found", 404)
    return Response(
        exposition(Vitals(site.database, site.clock)), media_type=TYPE, headers={"Cache-Control": "no-store"}
    )


def _bears(token: str, authorization: str) -> bool:
    return hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode())


def _local(request: Request) -> bool:
    """Tell whether the request began on this machine: what a proxy hands on did not."""
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False
