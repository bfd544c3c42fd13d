"""One conversation in lines: what is typed is asked or done, and what comes of it is said."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Self, TypeVar

from palaver.cli.answer import scores_line, warnings_of
from palaver.errors import PalaverError
from palaver.present import format_seconds
from palaver.terminal import safe_line
from palaver_tui import slash
from palaver_tui.asking import Question, answer, unexpected
from palaver_tui.plain.voice import Spoken, Voice

if TYPE_CHECKING:
    from palaver.model import ModelInfo
    from palaver.registry import Registry
    from palaver.session import Session, Started
    from palaver.store import Turn

T = TypeVar("T")

LOOK_SECONDS = 0.1
"""Between two looks at the keyboard while something runs."""
QUIET_SECONDS = 10.0
"""After so long without a word it is said that work goes on."""
SHOWN = 60
"""Cells of a choice that are said."""
CLOSE_SECONDS = 2.0
"""How long a stopped answer has to be finished in history."""


class Left(Exception):
    """The user left while something could not be stopped."""


class Talk:
    """Asks, waits, says; ctrl+c stops what is waited for."""

    def __init__(self, session: Session, voice: Voice) -> None:
        self.session = session
        self.voice = voice
        self.choices: tuple[str, ...] = ()
        """What a number alone stands for, until something else is typed."""
        self.last = ""
        """The question asked last, which `!!` repeats."""

    def ask(self, question: Question) -> None:
        """Put a question to the model and say what comes of it."""
        self.last = line = question.line
        spoken = Spoken(self.voice)
        spoken.is_whole_only = self._is_read_out(line)
        asked: list[ModelInfo] = []

        def started(told: Started) -> None:
            spoken.name = told.model.name
            if told.notice:
                self.voice.say(f"The text is longer than {told.model.name}'s window: {told.notice}.")
            elif told.forgotten and not told.part:
                self.voice.say(f"The {told.forgotten} oldest messages no longer fit into the window.")
            elif told.part:
                spoken.is_whole_only = True
            elif not asked and told.model.path and not self.session.registry.is_ready(told.model):
                self.voice.say(f"{told.model.name} is loading.")
            asked.append(told.model)

        cancel = threading.Event()
        outcome = self.wait(
            lambda: answer(self.session, question, cancel=cancel, on_start=started, on_text=spoken.add),
            cancel,
            lambda: (
                f"{spoken.name or 'The model'} has written {spoken.words} word{'s' * (spoken.words != 1)} so far. "
                "Ctrl+c stops it."
            ),
        )
        turn = outcome.turn
        spoken.name = spoken.name or turn.model
        spoken.end(turn.output)
        if outcome.error is not None:
            self.fail(outcome.error, line)
            return
        for warning in warnings_of(turn):
            self.voice.say(f"Note: {warning}.")
        tokens = f", {turn.output_tokens} tokens" if turn.output_tokens is not None else ""
        self.voice.say(f"Turn {turn.id}, {format_seconds(turn.seconds)}{tokens}.")
        if turn.references:
            self.scores(turn)

    def _is_read_out(self, line: str) -> bool:
        """Whether the task takes its answer out of the model's words."""
        from palaver.task import Task

        name, _, _ = line[1:].partition(" ")
        tasks = self.session.registry.tasks()
        return line.startswith("/") and name in tasks and tasks[name].parse is not Task.parse

    def scores(self, turn: Turn) -> None:
        """Say what an answer scores."""
        if turn.scores:
            self.voice.say(f"Scores: {scores_line(self.session, turn).replace('  ', ', ')}")

    def fail(self, error: PalaverError, typed: str = "") -> None:
        """Say what went wrong and what helps; what the chat can do itself is a choice, and then the text again."""
        self.voice.say(f"Error: {error.message}")
        fix = slash.slash_fix(error.fix)
        if not fix:
            if error.fix:
                self.voice.say(f"Fix: {error.fix}")
            return
        again = typed and not typed.startswith(("/pull", "/model")) and error.code != "task_not_found"
        what = pull_words(self.session.registry, fix[6:]) if fix.startswith("/pull ") else ""
        rows = [(fix, what)] + ([(typed, "your text again, afterwards")] if again else [])
        self.offer(rows)

    def offer(self, rows: Sequence[tuple[str, str]]) -> None:
        """Say numbered choices: a line to type, and what it does."""
        self.choices = tuple(line for line, _ in rows)
        for number, (line, does) in enumerate(rows, start=1):
            self.voice.say(f"{number}. {safe_line(line, SHOWN)}" + (f": {does}" if does else ""))
        self.voice.say("Type a number, or anything else.")

    def wait(self, work: Callable[[], T], cancel: threading.Event, still: Callable[[], str]) -> T:
        """What `work` returns, done in a thread; ctrl+c sets `cancel`, and a second one leaves.

        Raises:
            PalaverError: as `work` does. Left: it could not be stopped.
        """
        done: list[T] = []
        failed: list[PalaverError] = []

        def run() -> None:
            try:
                done.append(work())
            except PalaverError as error:
                failed.append(error)
            except Exception as error:  # a plugin may raise anything at all, and the talk goes on
                failed.append(unexpected(error))

        thread = threading.Thread(target=run, name="palaver-chat", daemon=True)
        self.voice.spoke = time.monotonic()
        with _Presses() as presses:
            thread.start()
            while thread.is_alive():
                thread.join(LOOK_SECONDS)
                if presses.count and not cancel.is_set():
                    cancel.set()
                    self.voice.say("Stopping. Ctrl+c again leaves.")
                elif presses.count > 1 and thread.is_alive():
                    thread.join(CLOSE_SECONDS)
                    raise Left
                elif time.monotonic() - self.voice.spoke > QUIET_SECONDS:
                    self.voice.say(still())
        if failed:
            raise failed[0]
        return done[0]


def pull_words(registry: Registry, name: str) -> str:
    """Size, licence and place of a download, to be read aloud."""
    return slash.pull_line(registry, name).replace(" · ", ", ")


class _Presses:
    """Counts ctrl+c while it is entered, so that it interrupts no line that is being written."""

    def __init__(self) -> None:
        self.count = 0
        self._before: object = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # Python lets no other one handle signals
            self._before = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(self, *ended: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)  # type: ignore[arg-type]

    def _press(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
