"""Is it well? For load balancers and monitoring; and the answer by which the unsubscribe pages prove themselves."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError

from nurture import selftest
from nurture.core.words import MessageState
from nurture.db import instance, messages, senders, timers
from nurture.errors import DatabaseError
from nurture.web.site import Here, Site

router = APIRouter()

_HEADERS = {"Cache-Control": "no-store"}
_DOWN = {"status": "down", "database": False, "reason": "the database cannot be used; the log says why"}


@router.api_route("/health", methods=["GET", "HEAD"])
def health(site: Here) -> JSONResponse:
    """Tell whether the database answers, how late work is, and what waits for a person; 503 without the database."""
    try:
        return JSONResponse(_health(site), headers=_HEADERS)
    except (DatabaseError, SQLAlchemyError):
        return JSONResponse(_DOWN, 503, _HEADERS)


@router.get(selftest.PATH)
def unsubscribe_endpoint(site: Here, nonce: str = Query(max_length=selftest.MAX_NONCE)) -> JSONResponse:
    """Sign a nonce: only a server with these keys and this database can."""
    try:
        with site.database.read() as connection:
            name = instance.read(connection).instance_id
    except (DatabaseError, SQLAlchemyError):
        return JSONResponse(_DOWN, 503, _HEADERS)
    return JSONResponse({"signature": selftest.answer(site.ring, name, nonce)}, headers=_HEADERS)


def _health(site: Site) -> dict[str, Any]:
    now = site.clock()
    with site.database.read() as connection:
        home = instance.read(connection)
        due = timers.next_due(connection)
        ambiguous = messages.count_in(connection, MessageState.AMBIGUOUS)
        paused = [sender.name for sender in senders.every(connection) if sender.paused_reason]
    return {
        "status": "ok",
        "database": True,
        "late_seconds": max(0.0, (now - due).total_seconds()) if due else 0.0,
        "ambiguous_messages": ambiguous,
        "paused_senders": paused,
        "sending_paused": home.sending_paused,
        "rehearsal": home.rehearsal,
    }
