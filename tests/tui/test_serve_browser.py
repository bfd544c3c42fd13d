"""In a real browser `palaver serve` shows the chat and takes a turn, and asks no other machine for anything."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pyte
import pytest
from tests.tui import chromium
from tests.tui.served import serving, wait_for_tabs


@pytest.mark.skipif(not chromium.find(), reason=f"none of {', '.join(chromium.NAMES)} is installed")
async def test_a_browser_shows_the_chat_and_takes_a_turn(tmp_path: Path, palaver_home: Path) -> None:
    with serving() as served:
        async with chromium.browsing(served.address, tmp_path) as page:

            def shows(text: str) -> bool:
                screen = pyte.Screen(200, 60)
                pyte.ByteStream(screen).feed(page.received)
                return text in "\n".join(screen.display)

            await page.until(lambda: shows("Ask, or / for tasks"))
            await page.type("/summarize -m lead-3 --length 1 Rain came. Then it went. --ref Rain came.\n")
            await page.until(lambda: shows("chrF 100.0"))
            assert len(await page.picture()) > 20_000  # a blank page of this size has 4 kB
            assert [one for one in page.asked if not one.startswith((f"{served.origin}/", "data:"))] == []
            assert page.failed == []
        wait_for_tabs(palaver_home, 0)
        assert "Traceback" not in served.end()
    with sqlite3.connect(palaver_home / "history.db") as history:
        assert history.execute("select model, output from turns").fetchall() == [("lead-3", "Rain came.")]
