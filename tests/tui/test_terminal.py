"""On a real terminal: however the chat ends, the terminal is as it was, the exit code tells, the text is kept."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from palaver.paths import history_file
from palaver.store import Store

pytestmark = pytest.mark.fault

ENDLESS = b"/generate a b a c a b -m ngram -o temperature=1 -o max_new_tokens=1000000"
"""A real model, without weights, that goes on for hours."""


class OnTerminal:
    """`palaver chat` on a pseudo-terminal of 100 columns and 30 rows."""

    def __init__(self) -> None:
        self.ours, self.theirs = pty.openpty()
        termios.tcsetwinsize(self.theirs, (30, 100))
        self.before = termios.tcgetattr(self.theirs)
        self.seen = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "palaver", "chat"],
            stdin=self.theirs,
            stdout=self.theirs,
            stderr=self.theirs,
            env={**os.environ, "TERM": "xterm-256color"},
            start_new_session=True,
            preexec_fn=lambda: os.set_inheritable(0, True),
        )

    def until(self, holds: Callable[[], bool], seconds: float = 30) -> None:
        """Read what it writes until something holds."""
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"it never happened; the end of what was written: {self.seen[-2000:]!r}"
            if select.select([self.ours], [], [], 0.05)[0]:
                self.seen += os.read(self.ours, 65536)

    def type(self, keys: bytes) -> None:
        os.write(self.ours, keys)

    def start(self) -> None:
        """Wait for the chat, and have it answer without end."""
        self.until(lambda: b"Ask, or / for tasks" in self.seen)
        self.type(ENDLESS)
        self.until(lambda: b"generate" in self.seen.rpartition(b"1000000")[2] or b"1000000" in self.seen)
        self.type(b"\x1b[F\r")
        self.until(lambda: "writing…".encode() in self.seen)

    def end(self) -> int:
        self.until(lambda: self.process.poll() is not None)
        while select.select([self.ours], [], [], 0.1)[0]:
            self.seen += os.read(self.ours, 65536)
        return self.process.returncode

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)


@pytest.fixture
def terminal() -> Iterator[OnTerminal]:
    terminal = OnTerminal()
    yield terminal
    terminal.close()


def assert_as_before(terminal: OnTerminal) -> None:
    assert termios.tcgetattr(terminal.theirs) == terminal.before
    for mode in (b"1049", b"1000", b"2004"):  # alternate screen, mouse, bracketed paste
        on, off = terminal.seen.rfind(b"\x1b[?" + mode + b"h"), terminal.seen.rfind(b"\x1b[?" + mode + b"l")
        assert off > on, mode
    assert terminal.seen.rfind(b"\x1b[?25h") > terminal.seen.rfind(b"\x1b[?25l")  # the cursor is back


def kept() -> tuple[str, str]:
    """Status and text of the newest turn, as the next start of Palaver finds them."""
    with Store.open(history_file()) as store:
        store.mark_orphans()
        turn = store.turn(store.page()[0].id)
        return turn.status, turn.output or turn.raw


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_a_signal_restores_the_terminal_and_keeps_the_text(
    terminal: OnTerminal, number: signal.Signals, code: int
) -> None:
    terminal.start()
    terminal.process.send_signal(number)
    assert terminal.end() == code
    assert_as_before(terminal)
    status, text = kept()
    assert status in ("cancelled", "interrupted")
    assert text


def test_a_kill_loses_at_most_half_a_second_of_text(terminal: OnTerminal) -> None:
    terminal.start()
    with Store.open(history_file()) as store:
        terminal.until(lambda: bool(store.turn(1).raw))  # the first draft is there
    terminal.process.kill()
    assert terminal.end() == -signal.SIGKILL
    status, text = kept()
    assert status == "interrupted"
    assert text


def test_ctrl_q_asks_once_while_something_runs_then_leaves(terminal: OnTerminal) -> None:
    terminal.start()
    terminal.type(b"\x11")
    terminal.until(lambda: b"ctrl+q" in terminal.seen.rpartition("writing…".encode())[2])
    terminal.type(b"\x11")
    assert terminal.end() == 0
    assert_as_before(terminal)
    assert kept()[0] == "cancelled"


def test_bytes_that_are_no_utf8_do_not_end_the_chat(terminal: OnTerminal) -> None:
    terminal.until(lambda: b"Ask, or / for tasks" in terminal.seen)
    terminal.type(b"caf\xff\xfe\xe9 ")
    terminal.type(b"still here")
    terminal.until(lambda: b"here" in terminal.seen)
    assert terminal.process.poll() is None
    terminal.type(b"\x11")
    assert terminal.end() == 0


def test_a_burst_of_keys_is_done_in_its_order(terminal: OnTerminal) -> None:
    terminal.until(lambda: b"Ask, or / for tasks" in terminal.seen)
    terminal.type(b"/generate echo abc\x7f\x7fXY -m copy\r/quit")
    terminal.until(lambda: b"dist-1" in terminal.seen)  # the answer is there, with its numbers
    assert inputs() == ["echo aXY"]
    terminal.type(b"\r")  # what was typed behind enter is in the prompt
    assert terminal.end() == 0


def inputs() -> list[str]:
    """What was asked so far, as history has it."""
    with Store.open(history_file()) as store:
        return [store.turn(line.id).inputs.get("text", "") for line in store.page()]


def test_the_first_screen_needs_no_file_of_its_own(terminal: OnTerminal, palaver_home: Path) -> None:
    terminal.until(lambda: b"Ask, or / for tasks" in terminal.seen)
    terminal.type(b"\x11")
    assert terminal.end() == 0
    assert_as_before(terminal)


DOOMED = """
import os, time
class Doomed:
    name, summary = "Doomed", "It ends badly."
    def open(self, desk):
        from textual.screen import Screen
        from textual.widgets import Static
        class View(Screen):
            def compose(self): yield Static("now it is shown")
            def on_key(self, event):
                if event.key == "v": os._exit(7)
                if event.key == "h": time.sleep(600)
        return View()
def palaver_screens(): return [Doomed()]
"""


def test_a_plugins_screen_that_dies_or_hangs_leaves_the_terminal_and_the_answer_alone(palaver_home: Path) -> None:
    (palaver_home / "plugins").mkdir()
    (palaver_home / "plugins/doomed.py").write_text(DOOMED, "utf-8")
    terminal = OnTerminal()
    try:
        terminal.start()
        for key, told in ((b"v", b"exit code 7"), (b"h\x03", b"while it did")):
            before = len(terminal.seen)
            terminal.type(b"\x07d")
            terminal.until(lambda before=before: b"now it is shown" in terminal.seen[before:])
            terminal.type(key[:1])
            if key[1:]:
                terminal.until(lambda before=before: b"it does not answer" in terminal.seen[before:])
                terminal.type(key[1:])
            terminal.until(lambda before=before, told=told: told in terminal.seen[before:])
        with Store.open(history_file()) as store:
            first = store.turn(1).raw
            terminal.until(lambda: len(store.turn(1).raw) > len(first))  # it went on, and goes on
        terminal.type(b"\x11\x11")
        assert terminal.end() == 0
        assert_as_before(terminal)
        assert kept()[0] in ("cancelled", "truncated")
    finally:
        terminal.close()
