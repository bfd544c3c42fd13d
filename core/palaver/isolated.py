"""A model whose weights live in a supervised child process: it may crash, hang and print, the conversation goes on.

Cancelling is a message; the caller is free after a fifth of a second whatever the child does, and a child that does not
come back from it is ended and replaced before the next answer.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from palaver import frames, paths
from palaver.errors import ModelFailed
from palaver.life import POLL, Life, error_of
from palaver.machine import memory_free
from palaver.model import Delta, GenerationConfig, ModelInfo, Request
from palaver.reading import Reading

IDLE_SECONDS = float(os.environ.get("PALAVER_IDLE_SECONDS") or 120)
"""How long a child may answer nothing at all while it is asked. A backend that reads for longer sends empty Deltas."""

State = Literal["loading", "ready", "died", "closed"]

CANCEL_GRACE = 0.15
"""Seconds that a child has to confirm a cancel, with token counts, before the answer ends without it."""


class IsolatedModel:
    """The Model that `module`'s backend loads in a process of its own.

    The constructor starts nothing. `load` waits for the weights; `stream` loads by itself when needed, also after the
    process died. One answer at a time: further calls wait for their turn. `on_state` may be called from any thread.
    """

    def __init__(
        self,
        info: ModelInfo,
        *,
        module: str,
        on_state: Callable[[State], None] | None = None,
        load_timeout: float = 300.0,
        idle_timeout: float = IDLE_SECONDS,
        log: Path | None = None,
    ) -> None:
        self.log = log or paths.state_dir() / "logs" / f"model-{re.sub(r'[^A-Za-z0-9._-]+', '_', info.name)[:80]}.log"
        self._info = info
        self._module = module
        self._on_state = on_state or (lambda state: None)
        self._load_timeout = load_timeout
        self._idle_timeout = idle_timeout
        self._turn = threading.Lock()
        self._reading = Reading()
        self._change = threading.Lock()
        self._life: Life | None = None
        self._closed = False

    @property
    def info(self) -> ModelInfo:
        """What is known of the model; after loading also its digest, context and whatever its backend found out."""
        return self._info

    @property
    def pid(self) -> int | None:
        life = self._life
        return life.process.pid if life and life.process.alive else None

    @property
    def alive(self) -> bool:
        """Its process runs. It may still be loading."""
        return self.pid is not None

    @property
    def is_ready(self) -> bool:
        """Its weights are loaded and its process runs: a question is answered without loading first."""
        life = self._life
        return life is not None and life.loaded.is_set() and life.error is None and life.process.alive

    def memory_bytes(self) -> int:
        """Resident memory of the process, 0 when there is none."""
        life = self._life
        return life.process.memory_bytes() if life else 0

    def load(self, cancel: threading.Event | None = None) -> ModelInfo:
        """Wait until the weights are loaded. Returns early when `cancel` is set; loading then goes on.

        Raises:
            ModelFailed, NeedsDownload, NotFound: as the backend says, or because its process died.
        """
        self._loaded_life(cancel or threading.Event())
        return self._info

    def stream(self, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        """Answer, from the child. See `Model.stream`.

        Raises:
            ModelFailed: the child died, with how, or was ended because it was silent for too long; the next call
                starts a new one.
        """
        with self._reading.put_off():
            while not self._turn.acquire(timeout=POLL):
                if cancel.is_set():
                    yield from _cancelled(range(len(requests)), {})
                    return
            try:
                life = self._idle_life(cancel)
                if life is None:
                    yield from _cancelled(range(len(requests)), {})
                elif requests:  # none: it was only to be loaded
                    yield from self._answer(life, requests, config, cancel)
            finally:
                self._turn.release()

    def read_ahead(self, request: Request, cancel: threading.Event) -> None:
        """Have the child read what may be asked next, where it is loaded, has nothing to do, and its model can.

        Starts nothing and waits for nobody; a question ends it after the batch of tokens that is being read.
        """
        life = self._life
        if life is not None and self.is_ready and self._turn.acquire(blocking=False):
            try:
                self._reading.read(life, request, cancel)
            finally:
                self._turn.release()
            if life.process.ended.is_set() and not self._closed:
                self._tell("died")

    def close(self) -> None:
        """End the process: asked first, made to after a second. Closing twice is fine."""
        with self._change:
            was_open, self._closed = not self._closed, True
            life, self._life = self._life, None
        if life is not None:
            life.process.stop()
        if was_open:
            self._tell("closed")

    def __enter__(self) -> IsolatedModel:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _answer(
        self, life: Life, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event
    ) -> Iterator[Delta]:
        pending = dict.fromkeys(range(len(requests)))
        number = life.begin(requests, config)
        heard = time.monotonic()
        try:
            while pending and not cancel.is_set():
                frame = life.next_frame(POLL)
                if frame is None and life.is_over() and (frame := life.next_frame(0)) is None:
                    if self._closed:
                        break
                    self._tell("died")
                    raise self._died(life, "while it answered")
                if frame is None:
                    if time.monotonic() - heard > self._idle_timeout:
                        self._tell("died")  # below it is told to stop, and ended when it does not
                        raise self._silent()
                    continue
                if frame["type"] == "error":
                    raise error_of(frame)
                if frame["type"] == "done":
                    raise ModelFailed(f"{self._info.name} ended without saying why.", code="model_silent")
                delta = frames.decode(Delta, frame["delta"])
                if delta.finish_reason is not None:
                    pending.pop(delta.request, None)
                if delta != Delta(request=delta.request):  # else a sign of life, no more
                    yield delta
                heard = time.monotonic()  # not before the yield: a slow listener is not the child's fault
            if not pending:
                life.idle.wait(POLL)  # the child is about to say that it is done
            else:  # cancelled or closed
                life.process.send("cancel", id=number)
                yield from _cancelled(pending, life.counts_until_done(CANCEL_GRACE))
        except frames.FrameError as error:
            raise ModelFailed(f"{self._info.name} answered nonsense: {error}.") from error
        finally:
            life.leave(number)

    def _idle_life(self, cancel: threading.Event) -> Life | None:
        """A loaded process that is free for the next answer, or None when cancelled first."""
        while (life := self._loaded_life(cancel)) is not None:
            while not life.idle.wait(POLL):
                if cancel.is_set():
                    return None
                if life.is_over():
                    break
            else:
                if not life.is_over():
                    return life
        return None

    def _loaded_life(self, cancel: threading.Event) -> Life | None:
        with self._change:
            if self._closed:
                raise ModelFailed(f"{self._info.name} was closed.", code="model_closed")
            life, begun = self._life, False
            if life is None or life.is_over():
                life, begun = self._begin_life(), True
                self._life = life
        if begun:
            self._tell("loading")
        deadline = time.monotonic() + self._load_timeout
        while not life.loaded.wait(POLL):
            if cancel.is_set():
                return None
            if life.is_over():
                if self._closed:
                    return None
                self._forget(life)
                raise self._died(life, "while it loaded")
            if time.monotonic() > deadline:
                self._forget(life)
                raise ModelFailed(f"{self._info.name} did not load in {self._load_timeout:.0f} seconds.")
        if life.error is not None:
            self._forget(life)
            raise life.error
        return life

    def _begin_life(self) -> Life:
        _refuse_what_cannot_fit(self._info)
        try:
            life = Life(self.log, self._module, self._became_ready)
        except OSError as error:
            raise ModelFailed(f"The process for {self._info.name} cannot be started: {error}") from error
        life.process.send("load", module=self._module, info=frames.encode(self._info))
        return life

    def _became_ready(self, info: ModelInfo, loaded: threading.Event) -> None:
        self._info = info
        loaded.set()
        self._tell("ready")

    def _tell(self, state: State) -> None:
        try:
            self._on_state(state)
        except Exception:  # a screen that is just closing may raise anything; the model has no part in it
            logging.getLogger(__name__).exception("on_state failed")

    def _forget(self, life: Life) -> None:
        with self._change:
            if self._life is life:
                self._life = None
        life.process.stop()
        self._tell("died")

    def _silent(self) -> ModelFailed:
        return ModelFailed(
            f"{self._info.name} answered nothing for {self._idle_timeout:g} seconds and was ended.",
            fix="Ask again: it starts anew by itself. PALAVER_IDLE_SECONDS lets it think for longer.",
            code="model_stuck",
        )

    def _died(self, life: Life, when: str) -> ModelFailed:
        return ModelFailed(
            f"{self._info.name} {life.process.epitaph()} ({when}).",
            fix=f"Ask again: it starts anew by itself. Its log is {self.log}",
            code="model_died",
        )


def _cancelled(pending: Sequence[int] | dict[int, None], counts: dict[int, Delta]) -> Iterator[Delta]:
    for request in pending:
        last = counts.get(request, Delta())
        yield Delta(
            request=request,
            finish_reason="cancelled",
            prompt_tokens=last.prompt_tokens,
            output_tokens=last.output_tokens,
        )


def _refuse_what_cannot_fit(info: ModelInfo) -> None:
    """
    Raises:
        ModelFailed: the model needs more memory than this machine has free.
    """
    if info.memory > (free := memory_free()):
        raise ModelFailed(
            f"{info.name} needs about {info.memory / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free.",
            fix="Close other programs, or use a smaller model.",
            code="out_of_memory",
        )
