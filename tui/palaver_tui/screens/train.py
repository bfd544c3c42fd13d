"""The Train screen: the runs there are, and one of them live: losses, samples, checkpoints, and how to steer it."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll

from palaver_tui import trainer, training
from palaver_tui.entries import PaletteCommand
from palaver_tui.go import Go
from palaver_tui.screens import train_words as words
from palaver_tui.screens.shelf import page_of
from palaver_tui.screens.train_run import RunScreen
from palaver_tui.training import RunView
from palaver_tui.widgets.footer import Footer
from palaver_tui.widgets.header import Header
from palaver_tui.widgets.plot import Plot
from palaver_tui.widgets.table import Table
from palaver_tui.widgets.text import Text

if TYPE_CHECKING:
    from palaver.session import Session

LOOK_SECONDS = 0.5
"""Between two looks at the open run, while the screen is shown."""
LIST_SECONDS = 3.0


class TrainScreen(RunScreen):
    """A list of runs, or one of them opened. A run is a process of its own: leaving the screen stops nothing."""

    CSS_PATH = "train.tcss"
    AUTO_FOCUS = ""  # else the hidden list would take the keys of an open run when one comes back to it
    HELP_KEYS = words.KEYS
    BINDINGS: ClassVar = [
        Binding("n", "new", "new", id="train.new"),
        Binding("space", "pause", "pause, go on", id="train.pause"),
        Binding("l", "lower", "lower the learning rate", id="train.lower"),
        Binding("s", "stop", "stop and keep", id="train.stop"),
        Binding("enter,a", "chat", "chat with the checkpoint", id="train.chat"),
        Binding("x", "mark", "mark a checkpoint", id="train.mark"),
        Binding("c", "compare", "compare two checkpoints", id="train.compare"),
        Binding("j,down", "choose(1)", "next checkpoint", show=False, id="train.next"),
        Binding("k,up", "choose(-1)", "previous checkpoint", show=False, id="train.previous"),
        Binding("ctrl+t", "copy_command", "copy command", show=False, id="train.copy_command"),
        Binding("escape", "back", "back", id="train.back"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._listed: tuple[Path, ...] = ()
        self._values: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        yield Header("Train")
        yield Table(words.LAYOUTS, id="runs")
        yield Text(words.NOTHING_YET, id="empty")
        with Vertical(id="run"):
            yield Text(id="head")
            yield Text(id="now")
            yield Text(id="alarm")
            with Horizontal(id="middle"):
                yield Plot(id="plot")
                yield Text(id="checkpoints")
            with VerticalScroll(id="samples-row", can_focus=False):
                yield Text(id="samples")
        with Vertical(id="below"):
            yield Text(id="said", classes="-empty")
            yield Text(id="command")
        yield Footer(words.LIST_HINTS)

    def on_mount(self) -> None:
        self._show_list()
        self.set_interval(LOOK_SECONDS, self._look)
        self.set_interval(LIST_SECONDS, self._look_at_list)

    def on_screen_resume(self) -> None:
        self._look_at_list()

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)  # when the classes for this size are set

    def arrive(self, words: str) -> None:
        """Open the run of a folder, or begin one with the words of `palaver train`."""
        try:
            parts = shlex.split(words)
        except ValueError as error:
            self._say(f"! {error}", "$error")
            return
        if parts[0] in trainer.BEGINNINGS and not (Path(parts[0]) / training.METRICS).exists():
            self._begin(parts)
            return
        folder = Path(" ".join(parts)).expanduser().absolute()
        folder = folder.parent if (folder / training.CHECKPOINT).exists() else folder
        if folder.is_dir():
            self._open(folder)
        else:
            self._say(f"! there is no run in {words}. n begins one", "$error")

    def palette_commands(self) -> Iterable[PaletteCommand]:
        """A new run, and what can be done with the one that is open."""
        yield PaletteCommand("train: new", "a run on text of yours", self.action_new)
        if self._view is not None:
            yield PaletteCommand("train: pause or go on", "", self.action_pause)
            yield PaletteCommand("train: lower the learning rate", "to half of it", self.action_lower)
            yield PaletteCommand("train: stop and keep", "after this step", self.action_stop)
            yield PaletteCommand("train: chat", "with the chosen checkpoint", self.action_chat)
            yield PaletteCommand("train: compare", "two checkpoints", self.action_compare)

    # The list

    @property
    def _table(self) -> Table:
        return self.query_one("#runs", Table)

    def _show_list(self) -> None:
        self._folder, self._view = None, None
        self.remove_class("-opened")
        self._say("")
        self._table.focus()
        self._read_list()
        self._draw()

    def _look_at_list(self) -> None:
        if self._folder is None and self.is_current:
            self._read_list()

    @work(exclusive=True, group="list")
    async def _read_list(self) -> None:
        views = await asyncio.to_thread(self._all_runs)
        if self._folder is not None or not self.is_attached:
            return
        at = self._pointed
        self._listed = tuple(view.folder for view in views)
        rows = [words.row(len(views) - index, view) for index, view in enumerate(views)]
        running = sum(view.is_running for view in views)
        self.query_one(Header).state = f"{len(views)} run{'' if len(views) == 1 else 's'}" + (
            f" · {running} running" if running else ""
        )
        self.set_class(not rows, "-nothing")
        kept = len(views) - self._listed.index(at) if at in self._listed else None
        self._table.show(partial(page_of, rows), at=kept)

    def _all_runs(self) -> list[RunView]:
        return [self._reader(folder).read() for folder in training.known_runs()]

    @property
    def _pointed(self) -> Path | None:
        """The run under the cursor of the list."""
        cursor = self._table.cursor
        return self._listed[len(self._listed) - cursor] if cursor and cursor <= len(self._listed) else None

    @on(Table.Highlighted)
    def _moved_on(self) -> None:
        self._say_command()

    @on(Table.Opened)
    def _open_row(self) -> None:
        if (folder := self._pointed) is not None:
            self._open(folder)

    @property
    def command(self) -> str:
        """The command line that does the same."""
        if self._view is None and (folder := self._pointed) is not None:
            return f"palaver chat --train {shlex.quote(words.named(folder))}"
        return super().command

    # Begin and leave

    def action_new(self) -> None:
        """Fill in the form for a new run."""
        from palaver_tui.screens.train_form import TrainForm

        registry = self._session.registry
        here = (info for info in registry.models() if info.backend == "torch" and registry.is_installed(info))
        self.app.push_screen(TrainForm(self._values, [info.name for info in here]), self._begin_new)

    def _begin_new(self, chosen: Sequence[str] | None) -> None:
        if chosen is not None:
            self._begin(chosen)

    def _begin(self, parts: Sequence[str]) -> None:
        folder = trainer.folder_of(list(parts))
        child = self._children.get(folder)
        if child is not None and child.process.poll() is None:
            self._open(folder)
            self._say("this run is going on")
            return
        if parts[0] != "resume" and (folder / training.METRICS).exists():
            self._open(folder)
            self._say(f"! {words.named(folder)} holds a run already: another --out begins a new one", "$error")
            return
        try:
            self._children[folder] = trainer.begin(list(parts))
        except OSError as error:
            self._say(f"! {words.named(folder)} cannot be written: {error.strerror}", "$error")
            return
        self._told.discard(folder)
        self._open(folder)
        self._say(f"$ palaver train {shlex.join(parts)}")

    def action_copy_command(self) -> None:
        """Copy the command line."""
        self.app.copy_to_clipboard(self.command)
        self._say("copied the command line")

    def action_back(self) -> None:
        """To the list, then to the chat."""
        if self._view is not None:
            self._show_list()
        else:
            self.post_message(Go("Chat"))
