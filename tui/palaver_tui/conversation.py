"""The chat's work off the screen's thread: open, ask, stop, reference, download; it answers by messages.

Threads are daemons: a plugin that never returns can hold neither the screen nor the end of the process.
"""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.message import Message

from palaver.errors import PalaverError
from palaver_tui import messages
from palaver_tui.ahead import Ahead
from palaver_tui.asking import Question, answer, unexpected

if TYPE_CHECKING:
    from palaver.metric import Score, Span
    from palaver.model import ModelInfo
    from palaver.registry import Registry
    from palaver.session import Outcome, Session, Started
    from palaver.store import Turn

OpenSession = Callable[[], "Session"]
Post = Callable[[Message], object]

PROGRESS_SECONDS = 0.1
"""Between two messages about a download."""
CLOSE_SECONDS = 2.0
"""How long a stopped answer has at the end to be finished in history."""


class Conversation:
    """One session and what goes on in it: at most one answer and one download at a time."""

    def __init__(self, open_session: OpenSession, post: Post) -> None:
        self.session: Session | None = None
        """Set when `Opened` was posted."""
        self.failure: PalaverError | None = None
        """Why there is no session and will be none; set when `NotOpened` was posted."""
        self._open_session = open_session
        self._post = post
        self._cancel = threading.Event()
        self._cancel_pull = threading.Event()
        self._cancel_timing = threading.Event()
        self._asking: threading.Thread | None = None
        self._ahead = Ahead()
        self._pieces: list[str] = []
        self._lock = threading.Lock()
        self._is_closed = False

    @property
    def loaded(self) -> frozenset[str]:
        """References of the models that are in memory."""
        registry = self.session.registry if self.session is not None else None
        return (
            frozenset(one.info.ref for one in registry.running() if registry.is_ready(one.info))
            if registry
            else frozenset()
        )

    @property
    def is_busy(self) -> bool:
        """A model loads or writes."""
        return self._asking is not None

    def is_ready(self, model: ModelInfo) -> bool:
        """The model is in memory: what it has not said yet, it is not loading for."""
        return model.is_baseline or (self.session is not None and self.session.registry.is_ready(model))

    def open(self) -> None:
        """Load the plugins and open the history; posts Opened or NotOpened."""
        self._start(self._do_open)

    def ask(self, question: Question, entry: int) -> None:
        """Answer a question; posts Began and Ended. What is written meanwhile is `taken`."""
        self._ahead.stop()
        self.stop_timing()  # an answer goes first, and would be measured along
        self._cancel = threading.Event()
        self._pieces.clear()
        self._asking = self._start(self._do_ask, question, entry, self._cancel)

    def read_ahead(self, draft: str) -> None:
        """Have the model read what is in the prompt, where it is loaded and idle; posts nothing."""
        self._ahead.read(self._opened(), draft)

    def done(self) -> None:
        """The screen has seen that the answer is over."""
        self._asking = None

    def take(self) -> str:
        """What was written since the last time."""
        with self._lock:
            text = "".join(self._pieces)
            self._pieces.clear()
        return text

    def stop(self) -> None:
        """End the running answer; its text so far is kept."""
        self._cancel.set()

    def stop_pull(self) -> None:
        """End the running download; what has arrived is kept."""
        self._cancel_pull.set()

    def stop_timing(self) -> None:
        """Leave the engines of a new model unmeasured; its own engine answers then."""
        self._cancel_timing.set()

    def refer(self, turn_id: int, source: str) -> None:
        """Score a turn against a text or @FILE; posts Referenced or Failed."""
        self._start(self._do_refer, turn_id, source)

    def do(self, work: Callable[[Session], Message], *, typed: str = "") -> None:
        """Do something with the session in a thread; posts what it returns, or Failed with what was typed."""
        self._start(self._do_work, work, typed)

    def pull(self, name: str) -> None:
        """Download a model; posts Pulled now and then, and PullEnded; then Timed where its engines are measured."""
        self._cancel_pull = threading.Event()
        self.stop_timing()
        self._start(self._do_pull, name, self._cancel_pull)

    def load(self, name: str) -> None:
        """Load a model before it is asked; posts Loaded or Failed."""
        self._start(self._do_load, name)

    def demo(self) -> None:
        """Score three ready translations; posts DemoReady or Failed."""
        self._start(self._do_demo)

    def close(self) -> None:
        """Stop what runs, wait a little for its row, free the models and close the history."""
        self._is_closed = True
        self._ahead.stop()
        self._cancel.set()
        self._cancel_pull.set()
        self.stop_timing()
        if self._asking is not None:
            self._asking.join(CLOSE_SECONDS)
        if self.session is not None:
            self.session.close()
            self.session.store.close()

    # In threads

    def _start(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        context = contextvars.copy_context()
        thread = threading.Thread(target=lambda: context.run(work, *arguments), name="palaver-chat", daemon=True)
        thread.start()
        return thread

    def _tell(self, message: Message) -> None:
        if not self._is_closed:
            self._post(message)

    def _do_open(self) -> None:
        try:
            from palaver.store import telling

            with telling(self._tell_once()):
                session = self._open_session()
            session.registry.tasks()
            session.store.mark_orphans()
        except PalaverError as error:
            self._fail(error)
            return
        except Exception as error:  # whatever a plugin or a damaged file may raise: the screen stays up and says it
            self._fail(unexpected(error))
            return
        self.session = session
        if self._is_closed:
            session.store.close()
        self._tell(messages.Opened(session))

    def _tell_once(self) -> Callable[[str], None]:
        """Says that an older history is being brought up to date; how far that is would fill the transcript."""
        told: list[str] = []

        def tell(said: str) -> None:
            if not told:
                self._tell(messages.Told(said.rstrip(".")))
            told.append(said)

        return tell

    def _fail(self, error: PalaverError) -> None:
        self.failure = error
        self._tell(messages.NotOpened(error))

    def _do_ask(self, question: Question, entry: int, cancel: threading.Event) -> None:
        try:
            outcome = self._answered(question, entry, cancel)
            spans, baseline = self._judged(outcome.turn)
            siblings = self._opened().store.siblings(outcome.turn.id)
            self._tell(messages.Ended(entry, outcome.turn, outcome.error, spans, baseline, siblings, outcome.context))
        except PalaverError as error:  # the history itself failed: the text on the screen is all there is
            self._tell(messages.Ended(entry, None, error))
        except Exception as error:  # the screen must hear of it, or it would wait for ever
            self._tell(messages.Ended(entry, None, unexpected(error)))

    def _answered(self, question: Question, entry: int, cancel: threading.Event) -> Outcome:
        session = self._opened()

        def began(started: Started) -> None:
            self._tell(messages.Began(entry, started.turn_id, started.model, started.forgotten, started.notice))

        return answer(session, question, cancel=cancel, on_start=began, on_text=self._write)

    def _write(self, piece: str) -> None:
        with self._lock:
            self._pieces.append(piece)

    def _judged(self, turn: Turn) -> tuple[list[Span], tuple[str, list[Score]] | None]:
        """The marks and the baseline of a turn with references."""
        if not turn.references or turn.status in ("failed", "cancelled"):
            return [], None
        from palaver.overlap import mark

        try:
            baseline = self._opened().baseline(turn)
        except Exception:  # a metric or baseline of a plugin: the scores of the turn itself stand
            baseline = None
        return mark(turn.output, [reference.text for reference in turn.references]), baseline

    def _do_work(self, work: Callable[[Session], Message], typed: str) -> None:
        try:
            self._tell(work(self._opened()))
        except PalaverError as error:
            self._tell(messages.Failed(error, typed))
        except Exception as error:  # a plugin may raise anything at all
            self._tell(messages.Failed(unexpected(error), typed))

    def _do_refer(self, turn_id: int, source: str) -> None:
        from palaver.command import read_text

        try:
            turn = self._opened().add_references(turn_id, [read_text(source)])
            spans, baseline = self._judged(turn)
            self._tell(messages.Referenced(turn, spans, baseline))
        except PalaverError as error:
            self._tell(messages.Failed(error, f"/ref {source}"))
        except Exception as error:  # a metric plugin may raise anything at all
            self._tell(messages.Failed(unexpected(error), f"/ref {source}"))

    def _do_pull(self, name: str, cancel: threading.Event) -> None:
        from palaver.hubmodel import to_pull
        from palaver.pull import PullProgress, pull

        told = 0.0

        def moved(progress: PullProgress) -> None:
            nonlocal told
            if time.monotonic() - told >= PROGRESS_SECONDS:
                told = time.monotonic()
                self._tell(messages.Pulled(name, progress))

        try:
            registry = self._opened().registry
            pull(to_pull(registry.info(name)), on_progress=moved, cancel=cancel)
            registry.forget_files()
        except PalaverError as error:
            self._tell(messages.PullEnded(name, error))
        except Exception as error:  # the header must not say for ever that it downloads
            self._tell(messages.PullEnded(name, unexpected(error)))
        else:
            self._tell(messages.PullEnded(name, None))
            self._time(registry, name)

    def _time(self, registry: Registry, name: str) -> None:
        """Measure the engines that can compute a new model, as `palaver models pull` does, unless something goes on."""
        from palaver import streams

        self._cancel_timing = cancel = threading.Event()
        verdict = ""
        try:
            info = registry.info(name)
            if self._asking is None and not self._is_closed and streams.is_to_be_timed(registry, info):
                timings = streams.measure(registry, info, cancel, lambda step: self._tell(messages.Timed(name, step)))
                verdict = streams.verdict(timings) if timings else ""
        except Exception as error:  # the model is here all the same, whatever an engine raises
            logging.getLogger(__name__).warning("%s could not be timed: %s", name, error)
        self._tell(messages.Timed(name, verdict=verdict))

    def _do_load(self, name: str) -> None:
        try:
            model = self._opened().registry.model(name)
            load = getattr(model, "load", None)  # only what lives in a child process has weights to wait for
            if load is not None:
                load()
            self._tell(messages.Loaded(model.info))
        except PalaverError as error:
            self._tell(messages.Failed(error, f"/model {name}"))
        except Exception as error:  # a backend plugin may raise anything at all
            self._tell(messages.Failed(unexpected(error), f"/model {name}"))

    def _do_demo(self) -> None:
        from palaver_tui.demo import score_demo

        try:
            turns = score_demo(self._opened())
            self._tell(messages.DemoReady([(turn, self._judged(turn)[0]) for turn in turns]))
        except PalaverError as error:
            self._tell(messages.Failed(error, "/demo"))
        except Exception as error:  # a metric plugin may raise anything at all
            self._tell(messages.Failed(unexpected(error), "/demo"))

    def _opened(self) -> Session:
        assert self.session is not None, "the screen asks for nothing before `Opened`"
        return self.session
