"""An application on a socket: bound first, so that a port that is taken is an error before anything is loaded.

Needs the extra `serve` (uvicorn).
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn

from starrec.errors import StarrecError

_GRACE: Final = 5
"""Seconds that requests under way may take when the server is stopped, unless told."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound and takes connections; they wait until someone serves.

    Args:
        port: 0 for any that is free.

    Raises:
        StarrecError: the address cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # By its protocol: asyncio sends small answers at once only where a socket says that it is TCP. Else
        # each waits 40 ms for the other side's acknowledgement.
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise StarrecError(f"--host {host} is no address of this machine ({error.strerror}).") from error
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise StarrecError(
                f"Port {port} of {host} is in use. Stop what listens there, or give another with --port "
                "(0 takes any that is free)."
            ) from error
        raise StarrecError(f"{host}:{port} cannot be listened on: {error.strerror}.") from error
    listening.listen(2048)
    return listening


def base_url(listening: socket.socket) -> str:
    """What a client is given as `base_url`."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


def serve(app: Any, listening: socket.socket, *, grace: int = _GRACE, **settings: Any) -> None:
    """Answer until the process is told to stop.

    Args:
        grace: seconds that requests under way may take then.
        settings: more of `uvicorn.Config`.
    """
    _server(app, grace, **settings).run(sockets=[listening])


@contextmanager
def served(app: Any, host: str = "127.0.0.1") -> Iterator[str]:
    """The application's base URL, on a free port while the context lasts, answered by a thread of this
    process."""
    listening = listen(host, 0)
    server = _server(app)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        yield base_url(listening)
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def _server(app: Any, grace: int = _GRACE, **settings: Any) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        # A quarter of an hour of silence between two requests of a client is no reason to hang up on it.
        timeout_keep_alive=900,
        timeout_graceful_shutdown=grace,
        **settings,
    )
    return uvicorn.Server(config)
