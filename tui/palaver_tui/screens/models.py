"""The Models screen: what can answer, what it takes, and how to get the rest, while the chat goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import ClassVar

from textual.binding import Binding

from palaver import streams
from palaver.config import read_settings, set_default
from palaver.errors import BadInput, PalaverError
from palaver.present import format_size
from palaver.pull import PullProgress, pull
from palaver.session import Session
from palaver.stock import Stocked, remove_files, stock, stocked
from palaver.warm import unload_from_engine
from palaver_tui.entries import PaletteCommand
from palaver_tui.screens.models_words import HINTS, KEYS, LAYOUTS, ORDER, about, entry
from palaver_tui.screens.shelf import Entry, ShelfScreen
from palaver_tui.screens.words import installed_memory
from palaver_tui.widgets.sheet import Sheet

PROGRESS_SECONDS = 0.1
"""Between two looks at a download."""
CELLS = 12
"""Of the bar of a download."""


class ModelsScreen(ShelfScreen):
    """Every model, in the words of `palaver models`."""

    BINDINGS: ClassVar = [
        Binding("p", "pull", "pull", show=False, id="models.pull"),
        Binding("f", "make_default", "default", show=False, id="models.default"),
        Binding("d", "delete", "delete files", show=False, id="models.delete"),
        Binding("i", "open_detail", "all about it", show=False, id="models.info"),
    ]
    NAME: ClassVar = "Models"
    HELP_KEYS: ClassVar = KEYS
    LAYOUTS: ClassVar = LAYOUTS
    HINTS: ClassVar = HINTS
    NOTHING: ClassVar = "No plugin provides a model: palaver plugins list"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._registry = session.registry
        self._stock: dict[str, Stocked] = {}
        self._pulls: dict[str, threading.Event] = {}
        self._to_delete = ""
        """The model whose files go at the next `d`."""

    def read(self) -> tuple[str, Sequence[Entry]]:
        found = sorted(stock(self._registry), key=lambda one: ORDER.index(one.state))
        self._stock = {one.info.name: one for one in found}
        used = sum(one.memory_bytes for one in found)
        whole = installed_memory()
        state = f"memory {format_size(used)}" + (f" of {format_size(whole)}" if whole else "")
        return state if used else f"nothing loaded · {format_size(whole)} of memory", [
            entry(one, one.info.name in self.busy) for one in found
        ]

    def describe(self, name: str) -> Sheet:
        return about(self.session, stocked(self._registry, self._registry.info(name)))

    def use(self, name: str) -> None:
        """Load it, or free it."""
        one = self._stock[name]
        if name in self.busy:
            self.say(f"{name}: {self.busy[name]}")
        elif one.state == "loaded":
            self.do(name, "unloading…", partial(self._unload, one))
        elif one.state == "installed":
            self.do(name, "loading…", partial(self._load, name))
        elif one.state in ("absent", "broken"):
            self.say(f"p downloads {name}, {format_size(one.info.download_size)}" if one.info.files else one.fix)
        else:
            self.say(f"{name} has nothing to load: just ask it, with -m {name}")

    def _load(self, name: str) -> str:
        began = time.monotonic()
        model = self._registry.model(name)
        load = getattr(model, "load", None)  # only what lives in a child process has weights to wait for
        try:
            if load is not None:
                load()
        except BaseException:
            self._registry.unload(name)
            raise
        return f"{name} is loaded, after {time.monotonic() - began:.1f} s"

    def _unload(self, one: Stocked) -> str:
        name = one.info.name
        is_gone = self._registry.unload(name) if one.engine == "here" else unload_from_engine(one.info.ref)
        return f"{name} is unloaded, {format_size(one.memory_bytes)} are free again" if is_gone else f"{name} was gone"

    def action_pull(self) -> None:
        """Download the model under the cursor, or stop its download."""
        if (current := self.current) is None:
            return
        name, one = current.name, self._stock[current.name]
        if name in self._pulls:
            self._pulls[name].set()
            self.tell(name, "stopping…")
        elif not one.info.files:
            self.say(f"{name} has nothing to download")
        elif one.state in ("absent", "broken"):
            self._pulls[name] = threading.Event()
            self.do(name, "↓ begins", partial(self._pull, name, self._pulls[name]))
        else:
            self.say(f"{name} is on this machine")

    def _pull(self, name: str, cancel: threading.Event) -> str:
        told = 0.0

        def moved(progress: PullProgress) -> None:
            nonlocal told
            if time.monotonic() - told >= PROGRESS_SECONDS:
                told = time.monotonic()
                self.tell(name, _bar(progress))

        try:
            pull(self._registry.info(name), on_progress=moved, cancel=cancel)
            self._registry.forget_files()
            verdict = self._timed(name, cancel)
        finally:
            self._pulls.pop(name, None)
            self._registry.forget_files()
        return f"{name} is on this machine: just ask{verdict}"

    def _timed(self, name: str, cancel: threading.Event) -> str:
        """Which engine streams it here, measured where there are several; `p` stops that."""
        info = self._registry.info(name)
        if not streams.is_to_be_timed(self._registry, info):
            return ""
        try:
            timings = streams.measure(self._registry, info, cancel, lambda step: self.tell(name, step))
        except PalaverError:  # the model is here all the same
            return ""
        return f"; {streams.verdict(timings)}" if timings else ""

    def action_make_default(self) -> None:
        """Ask for which task the model under the cursor is to answer."""
        if (current := self.current) is not None:
            self.ask(f"{current.name} answers", "a task, or nothing: all tasks", partial(self._default, current.name))

    def _default(self, name: str, task: str) -> None:
        def change() -> str:
            if task:
                self._registry.task(task)
                self._registry.choose(task, name)
            else:
                self._registry.installed(name)
            set_default(name, task=task)
            self._registry.settings = read_settings()
            return f"{name} answers {task or 'every task without a default of its own'} now"

        self.do(name, "…", change)

    def action_delete(self) -> None:
        """At the second press delete the files of the model under the cursor."""
        if (current := self.current) is None:
            return
        name, one = current.name, self._stock[current.name]
        if not one.info.files or not one.disk_bytes:
            self.say(f"{name} has no downloaded files")
        elif self._to_delete != name:
            self._to_delete = name
            self.say(f"d again deletes {format_size(one.disk_bytes)} of {name}; p would download them anew")
        else:
            self._to_delete = ""
            self.do(name, "deleting…", partial(self._remove, one))

    def _remove(self, one: Stocked) -> str:
        if one.info.name in self._pulls:
            raise BadInput(f"{one.info.name} is being downloaded.", fix="p stops it")
        self._registry.unload(one.info.name)
        size = remove_files(one.info)
        self._registry.forget_files()
        return f"{one.info.name} is removed, {format_size(size)} are free again"

    def on_unmount(self) -> None:
        for cancel in self._pulls.values():
            cancel.set()

    def palette_commands(self) -> Iterable[PaletteCommand]:
        """The keys, by name."""
        yield PaletteCommand("models: pull", "download the one under the cursor, or stop", self.action_pull)
        yield PaletteCommand("models: default", "who answers if no model is named", self.action_make_default)
        yield PaletteCommand("models: delete files", "of the one under the cursor", self.action_delete)
        yield from super().palette_commands()


def _bar(progress: PullProgress) -> str:
    """`↓ ━━━━━━╸───── 51 % · 47 of 93 MB`."""
    share = progress.done_bytes / progress.total_bytes if progress.total_bytes else 0.0
    full = round(CELLS * share)
    doing = "" if progress.state == "downloading" else f" · {progress.state}"
    size = f"{format_size(progress.done_bytes)} of {format_size(progress.total_bytes)}"
    return f"↓ {100 * share:.0f} % {'━' * full}{'─' * (CELLS - full)} {size}{doing}"
