"""The web server of `palaver serve`, from its first line to its last."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from textual_serve.server import Server

from palaver.errors import PalaverError
from palaver_tui.serve.door import HOST, Door
from palaver_tui.serve.tabs import Tab

FILES = Path(__file__).parent / "page_files"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class PageServer(Server):
    """Textual's server with a door before it and tabs that end."""

    def __init__(self, door: Door, model: str) -> None:
        super().__init__("palaver", title="Palaver", public_url=door.origin, templates_path=FILES)
        self._door, self._model = door, model
        self._tabs: set[Tab] = set()

    async def on_startup(self, app: web.Application) -> None:
        """Nothing to draw here: the command says where it is."""

    async def on_shutdown(self, app: web.Application) -> None:
        """End every tab."""
        await asyncio.gather(*(tab.stop() for tab in self._tabs), return_exceptions=True)

    async def make_app(self) -> web.Application:
        """Textual's addresses with a page of our own, which fetches nothing from elsewhere; none without the token."""
        app = await self._make_app()
        app.router.add_static("/page", FILES)
        app.middlewares.append(self._door.middleware)
        app.on_response_prepare.append(self._door.add_headers)
        return app

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """A tab: its app lives as long as the websocket."""
        websocket = web.WebSocketResponse(heartbeat=15)
        await websocket.prepare(request)

        async def close() -> None:
            await websocket.close()

        tab = Tab(
            "palaver",
            write_bytes=websocket.send_bytes,
            write_str=websocket.send_str,
            close=close,
            download_manager=self.download_manager,
        )
        tab.model = self._model
        self._tabs.add(tab)
        try:
            await tab.start(_cells(request, "width", 80), _cells(request, "height", 24))
            with contextlib.suppress(ValueError, KeyError, IndexError, TypeError, AssertionError, ConnectionError):
                await self._process_messages(websocket, tab)  # what is no message of our page ends the tab
        finally:
            await tab.stop()
            self._tabs.discard(tab)
            await websocket.close()
        return websocket


def _cells(request: web.Request, name: str, usual: int) -> int:
    """A size that a terminal can have."""
    with contextlib.suppress(ValueError):
        return min(max(int(request.query.get(name, usual)), 10), 1000)
    return usual


def serve(model: str, port: int, tell: Callable[[str], None]) -> int:
    """Serve until ctrl+c; the exit code of the process. `tell` gets the lines for the user.

    Raises:
        PalaverError: the port is taken.
    """
    with socket.socket() as listening:
        if os.name == "posix":  # on Windows it would let another program take the port over
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
        except OSError as error:
            raise PalaverError(
                f"Port {port} of {HOST} cannot be used: {error.strerror}.", fix="palaver serve, which takes a free one"
            ) from error
        # What the tabs say when they end is talk.
        with contextlib.redirect_stdout(sys.stderr):
            asyncio.run(_serve(listening, model, tell))
    return 0


async def _serve(listening: socket.socket, model: str, tell: Callable[[str], None]) -> None:
    door = Door(listening.getsockname()[1])
    runner = web.AppRunner(await PageServer(door, model).make_app(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, over.set)
    try:
        await web.SockSite(runner, listening).start()
        tell(f"Open {door.address}")
        tell("Whoever has this address can use this Palaver; it answers on this machine alone. ctrl+c ends it.")
        await over.wait()
        tell("ending…")
    finally:
        await runner.cleanup()
