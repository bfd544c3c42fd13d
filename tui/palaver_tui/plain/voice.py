"""What the line mode says: one line an event, answers in whole sentences, nothing that is drawn over."""

from __future__ import annotations

import re
import sys
import threading
import time

from palaver.cli.output import write
from palaver.terminal import safe_text

_SENTENCE = re.compile(r"(?:.*[.!?…。！？][\"'”’)\]]*(?=\s)|.*\n)", re.DOTALL)
"""The longest beginning of a text that ends with a sentence or with a line."""


class Voice:
    """Answers on stdout, all else on stderr; threads take turns, and an event never begins in the middle of a line."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._is_mid_line = False
        self.spoke = time.monotonic()
        """When something was last said."""

    def say(self, text: str) -> None:
        """Tell an event. A text of several lines is one event."""
        with self._lock:
            self._end_line()
            write(sys.stderr, safe_text(text) + "\n")
            self.spoke = time.monotonic()

    def ask(self, prompt: str) -> None:
        """Say what is waited for; the line stays open for what is typed."""
        with self._lock:
            self._end_line()
            write(sys.stderr, prompt)

    def answer(self, text: str) -> None:
        """Go on with an answer; the line stays open."""
        with self._lock:
            write(sys.stdout, safe_text(text))
            self._is_mid_line = not text.endswith("\n")
            self.spoke = time.monotonic()

    def end(self) -> None:
        """End the line of an answer."""
        with self._lock:
            self._end_line()

    def _end_line(self) -> None:
        if self._is_mid_line:
            write(sys.stdout, "\n")
            self._is_mid_line = False


class Spoken:
    """An answer that comes in pieces, and is said by sentences: a reader of screens speaks what it is given at once."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self._held = ""
        self.name = ""
        """Who answers; said before the first sentence."""
        self.is_whole_only = False
        """The model's words are not the answer: it is said when it has been read out of them."""
        self.has_begun = False
        self.words = 0
        """Written so far, said or not."""

    def add(self, piece: str) -> None:
        """The model wrote a piece."""
        text = self._held + piece
        self.words += len(text.split()) - len(self._held.split())
        self._held = text
        if self.is_whole_only:
            return
        if not self.has_begun:
            text = text.lstrip()
        if found := _SENTENCE.match(text):
            self._say(found.group())
            self._held = text[found.end() :]

    def end(self, output: str) -> None:
        """The answer is over: its rest, or all of it where nothing was said yet."""
        if self.has_begun:
            self._say(self._held.rstrip())
        elif output:
            self._say(output)
        self._held = ""
        self._voice.end()

    def _say(self, text: str) -> None:
        if not text:
            return
        if not self.has_begun:
            self.has_begun = True
            text = f"{self.name}: {text}"
        self._voice.answer(text)
