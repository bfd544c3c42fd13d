"""A place at a server: one connection, kept for the next request, that another thread can cut."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx


class Place:
    """For one request at a time. Whoever reads from a silent server waits in the system and hears no event."""

    def __init__(self, client: httpx.Client) -> None:
        """`client` is this place's alone: its one connection is the one that is cut."""
        self.client = client
        self._lock = threading.Lock()
        self._stop: threading.Event | None = None
        self._line: socket.socket | None = None

    def begin(self, stop: threading.Event) -> None:
        """The place is taken by a request that ends when `stop` is set."""
        with self._lock:
            self._stop = stop

    def end(self) -> None:
        """The place is free."""
        with self._lock:
            self._stop = None

    def cut(self, stop: threading.Event) -> None:
        """End the connection, if the request of `stop` has this place still; its reader wakes with an error."""
        with self._lock:
            if self._stop is stop:
                self._hang_up()

    def trace(self, event: str, told: Mapping[str, Any]) -> None:
        """What httpx's extension `trace` calls: here it is known which socket it has opened."""
        if event not in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            return
        with self._lock:
            self._line = told["return_value"].get_extra_info("socket")
            if self._stop is not None and self._stop.is_set():
                self._hang_up()

    def _hang_up(self) -> None:
        if self._line is not None:
            with contextlib.suppress(OSError):  # it was closed meanwhile
                # Of the plain socket: that of TLS would first take itself apart, under its reader's feet.
                socket.socket.shutdown(self._line, socket.SHUT_RDWR)
