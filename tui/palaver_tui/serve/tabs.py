"""One process a browser tab, started by its websocket and gone with it, whatever it does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process

from textual_serve.app_service import AppService

GRACE = 5.0
"""Seconds that an app has to end by itself: a stopped answer is finished in history first."""


class Tab(AppService):
    """The app of one tab."""

    model = ""
    """Who answers in it."""

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        # Without a shell, and out of reach of the ctrl+c that ends the server, which tells it to end.
        command = [sys.executable, "-m", "palaver_tui.serve.app_process", self.model]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=self._environment(width, height), start_new_session=True
        )
        assert process.stdin is not None
        self._process, self._stdin = process, process.stdin
        return process

    def _environment(self, width: int, height: int) -> dict[str, str]:
        return {
            **self._build_environment(width=width, height=height),
            "TEXTUAL_DRIVER": "palaver_tui.serve.driver:PageDriver",
            "TERM": "xterm-256color",
        }

    async def stop(self) -> None:
        """Tell the app to end; if it does not, end it and what it has started."""
        try:
            async with asyncio.timeout(GRACE):
                await super().stop()
        except (TimeoutError, OSError):
            pass
        finally:
            await self._end()

    async def _end(self) -> None:
        process = self._process
        if process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.returncode is not None:
                return
            try:
                async with asyncio.timeout(GRACE / 2):
                    await process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
        await process.wait()
