"""The server that answers the pages: uvicorn on a socket, which others hear of at once when it is asked to end."""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

GRACE_SECONDS = 10
"""How long open connections have to end when the server does."""


def serve_app(app: FastAPI, listening: socket.socket, ending: Callable[[], None]) -> None:
    """Answer requests until SIGTERM or SIGINT asks to end, which `ending` hears at once."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # the address of an unsubscribe page is a key to it
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    _Server(config, ending).run(sockets=[listening])


class _Server(uvicorn.Server):
    """uvicorn, telling others at once that the end was asked for."""

    def __init__(self, config: uvicorn.Config, ending: Callable[[], None]) -> None:
        super().__init__(config)
        self._ending = ending

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._ending()
        super().handle_exit(sig, frame)
