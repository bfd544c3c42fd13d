"""Lines from the keyboard or from a pipe, with the line editing that a shell has where the terminal can do it."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from types import FrameType, ModuleType

from palaver.cli.output import is_terminal, write
from palaver.terminal import safe_text
from palaver_tui.plain.voice import Voice

PROMPT = "You: "
MORE = "...: "
"""Before what goes on a line that ended with a backslash."""


class Reader:
    """Reads what the user says."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self._editor = _editor()

    def read(self) -> str | None:
        """The next text, of more lines where one ends with a backslash; None at the end of the input.

        Raises:
            KeyboardInterrupt: ctrl+c; what was typed is what ↑ brings back.
        """
        lines: list[str] = []
        while True:
            line = self._line(MORE if lines else PROMPT)
            if line is None:
                return "\n".join(lines) if lines else None
            if not line.endswith("\\"):
                return "\n".join([*lines, line])
            lines.append(line[:-1])

    def _line(self, prompt: str) -> str | None:
        if self._editor is not None:
            before = signal.signal(signal.SIGINT, self._keep)
            try:
                return input(prompt)
            except EOFError:
                self._voice.say("")  # what follows begins on a line of its own
                return None
            finally:
                signal.signal(signal.SIGINT, before)
        self._voice.ask(prompt)
        line = sys.stdin.readline()
        if not line:
            self._voice.say("")
            return None
        if not is_terminal(sys.stdin):  # a terminal has shown it already
            write(sys.stderr, safe_text(line.removesuffix("\n")) + "\n")
        return line.removesuffix("\n").removesuffix("\r")

    def _keep(self, number: int, frame: FrameType | None) -> None:
        """Before the line is thrown away: ↑ brings it back."""
        assert self._editor is not None
        if typed := self._editor.get_line_buffer():
            self._editor.add_history(typed)
        raise KeyboardInterrupt


def _editor() -> ModuleType | None:
    """Readline, told to send nothing but what moves within the line; None where the terminal cannot, or there is none.

    `input` uses it from then on.
    """
    if os.environ.get("TERM", "dumb") == "dumb" or not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        return None
    try:
        editor = importlib.import_module("readline")  # importing it is what turns it on
    except ImportError:
        return None
    for setting in ("enable-bracketed-paste off", "enable-meta-key off", "bell-style none"):
        editor.parse_and_bind(f"set {setting}")
    return editor
