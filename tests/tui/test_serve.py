"""`palaver serve` lets nobody in without its token, and leaves nothing behind."""

from __future__ import annotations

import signal
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pyte
import pytest
from tests.core.terminals import piped
from tests.tui.served import PATIENCE, Served, serving, tabs, wait_for_tabs
from tests.tui.test_terminal import DOOMED
from yarl import URL

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as found:
        yield found


async def status(served: Served, path: str, **headers: str) -> tuple[int, str]:
    """What a request without a cookie is answered."""
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client,
        client.get(URL(served.origin + path, encoded=True), headers=headers, allow_redirects=False) as answer,
    ):
        return answer.status, await answer.text()


async def test_nothing_is_given_without_the_token_or_to_a_foreign_page(served: Served, palaver_home: Path) -> None:
    query = "?" + urlsplit(served.address).query
    socket = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x"}
    for path in (
        "/",
        "/?token=",
        "/?token=wrong",
        "/ws",
        "/static/js/textual.js",
        "/page/page.js",
        "/download/x",
        "/nothing",
    ):
        assert (await status(served, path))[0] == 403, path
    assert (await status(served, "/?token=%ff%00"))[0] == 403
    assert (await status(served, "/", Cookie=f"palaver-{served.port}=wrong"))[0] == 403
    # With the right token, but from a page of another site, or under a name that was bound to this address.
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://localhost:{served.port}"},
        {"Host": f"evil.example:{served.port}"},
        {"Host": "127.0.0.1"},
        socket,  # a browser always names the page
        socket | {"Origin": "https://evil.example"},
    ):
        assert (await status(served, f"/ws{query}", **headers))[0] == 403, headers
    token = query.removeprefix("?token=")
    cookie = {"Cookie": f"palaver-{served.port}={token}"}
    assert (await status(served, "/", **cookie))[0] == 200
    assert (await status(served, "/", **cookie, Origin="https://evil.example"))[0] == 403
    assert tabs(palaver_home) == []


async def test_a_tab_shows_the_chat_takes_a_turn_and_ends_with_its_socket(served: Served, palaver_home: Path) -> None:
    (palaver_home / "plugins").mkdir()
    (palaver_home / "plugins/doomed.py").write_text(DOOMED, "utf-8")  # its screen is shown here too
    screen = pyte.Screen(100, 30)
    stream = pyte.ByteStream(screen)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:  # 127.0.0.1 has cookies too
        async with client.get(served.address) as page:
            assert str(page.url) == f"{served.origin}/"  # the token is out of the address
            assert f"ws://127.0.0.1:{served.port}/ws" in await page.text()
            for answer in (*page.history, page):
                assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
                assert answer.headers["Referrer-Policy"] == "no-referrer"
        origin = {"Origin": served.origin}
        async with client.ws_connect(f"{served.origin}/ws?width=100&height=30", headers=origin) as socket:
            steps = iter(("/summarize -m lead-3 --length 1 Rain came. Then it went. --ref Rain came.", "\r", "\x07d"))
            wanted = iter(("Ask, or / for tasks", "--ref Rain came.", "chrF 100.0", "now it is shown"))
            text = next(wanted)
            while True:
                message = await socket.receive(timeout=PATIENCE)
                assert message.type == aiohttp.WSMsgType.BINARY, message
                stream.feed(message.data)
                if text in "\n".join(screen.display):
                    text, keys = next(wanted, ""), next(steps, "")
                    if not keys:
                        break
                    await socket.send_json(["stdin", keys])
            assert len(tabs(palaver_home)) == 1
        wait_for_tabs(palaver_home, 0)
    with sqlite3.connect(palaver_home / "history.db") as history:
        assert history.execute("select model, output from turns").fetchall() == [("lead-3", "Rain came.")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
async def test_no_app_outlives_the_server(served: Served, palaver_home: Path, number: signal.Signals) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        async with client.get(served.address):
            pass
        async with client.ws_connect(f"{served.origin}/ws", headers={"Origin": served.origin}) as socket:
            await socket.receive(timeout=PATIENCE)
            wait_for_tabs(palaver_home, 1)
            said = served.end(number)
    wait_for_tabs(palaver_home, 0)
    if number != signal.SIGKILL:
        assert served.process.returncode == 0
        assert said.endswith("ending…\n")
        assert "Traceback" not in said


def test_a_port_that_is_taken_is_said(served: Served) -> None:
    ended = piped("serve", "--port", str(served.port))
    assert ended.code == 1
    assert f"Port {served.port} of 127.0.0.1 cannot be used" in ended.err
    assert ended.out == ""


def test_without_textual_serve_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "textual_serve").mkdir()
    (tmp_path / "textual_serve/__init__.py").write_text("raise ModuleNotFoundError('no', name='textual_serve')")
    ended = piped("serve", environment={"PYTHONPATH": str(tmp_path)})
    assert ended.code == 1
    assert "pip install 'palaver[serve]'" in ended.err
