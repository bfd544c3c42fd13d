"""A browser without a window, driven through its own debugging protocol: no driver, no further package."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--disable-dev-shm-usage", "--remote-debugging-port=0", "--hide-scrollbars",
)  # fmt: skip
PATIENCE = 60.0


def find() -> str:
    """The browser's program; empty where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), "")


class Page:
    """One page, and all that its websockets have received."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.received = b""
        self.failed: list[str] = []
        """Addresses that could not be had."""
        self.asked: list[str] = []
        """Addresses that were asked for."""

    async def do(self, method: str, **parameters: Any) -> Mapping[str, Any]:
        """Send a command and return what it gives."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while (told := await self._next()).get("id") != number:
            pass
        assert "error" not in told, told
        result: Mapping[str, Any] = told["result"]
        return result

    async def until(self, holds: Callable[[], bool]) -> None:
        """Listen until something holds."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                await self._next()

    async def type(self, text: str) -> None:
        """Press the keys of a text; a newline is the enter key."""
        for char in text:
            enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13} if char == "\n" else {"key": char}
            await self.do("Input.dispatchKeyEvent", type="keyDown", text="\r" if char == "\n" else char, **enter)
            await self.do("Input.dispatchKeyEvent", type="keyUp", **enter)

    async def click(self, x: int, y: int) -> None:
        """Press and let go of the left button."""
        for kind in ("mousePressed", "mouseReleased"):
            await self.do("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def picture(self) -> bytes:
        """The page as PNG."""
        return base64.b64decode((await self.do("Page.captureScreenshot", format="png"))["data"])

    async def _next(self) -> Mapping[str, Any]:
        message = await self._socket.receive(timeout=PATIENCE)
        told: Mapping[str, Any] = json.loads(message.data)
        given = told.get("params", {})
        if told.get("method") == "Network.webSocketFrameReceived" and given["response"]["opcode"] == 2:
            self.received += base64.b64decode(given["response"]["payloadData"])
        elif told.get("method") == "Network.requestWillBeSent":
            self.asked.append(given["request"]["url"])
        elif told.get("method") == "Network.loadingFailed":
            self.failed.append(given.get("blockedReason", "") or given["errorText"])
        return told


@asynccontextmanager
async def browsing(address: str, profile: Path, *, size: tuple[int, int] = (1100, 760)) -> AsyncIterator[Page]:
    """The page at this address in a browser of its own, until the block is left."""
    command = [find(), *FLAGS, f"--window-size={size[0]},{size[1]}", f"--user-data-dir={profile}", "about:blank"]
    environment = {**os.environ, "HOME": str(profile)}
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    try:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        port = next(
            found[1] for line in lines if (found := re.search(r"DevTools listening on ws://[^:]+:(\d+)/", line))
        )
        async with aiohttp.ClientSession() as client:
            async with client.get(f"http://127.0.0.1:{port}/json/list") as answer:
                target = next(one for one in await answer.json(content_type=None) if one["type"] == "page")
            async with client.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                await page.do("Network.enable")
                await page.do("Page.enable")
                await page.do("Emulation.setFocusEmulationEnabled", enabled=True)  # as the window in front
                await page.do("Page.navigate", url=address)
                yield page
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
