"""One run, opened on the Train screen: what it does, its checkpoints, and the orders that steer it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textual import work
from textual.content import Content

from palaver_tui import trainer, training
from palaver_tui.copied import Copied
from palaver_tui.go import Go
from palaver_tui.screens import train_words as words
from palaver_tui.screens.place import PlaceScreen
from palaver_tui.spelled import names_line
from palaver_tui.training import Checkpoint, RunReader, RunView
from palaver_tui.widgets.footer import Footer
from palaver_tui.widgets.header import Header
from palaver_tui.widgets.plot import Curves, Plot
from palaver_tui.widgets.text import Text, styled

if TYPE_CHECKING:
    from palaver.session import Session


class RunScreen(PlaceScreen):
    """The part of the Train screen that shows a run and speaks to it. Nothing is stopped by leaving it."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._readers: dict[Path, RunReader] = {}
        self._children: dict[Path, trainer.Child] = {}
        self._folder: Path | None = None
        self._view: RunView | None = None
        self._chosen: str = ""
        """A checkpoint by its name; without one, the best."""
        self._marked: frozenset[str] = frozenset()
        self._copied: Copied | None = None
        self._spans: Mapping[str, Sequence[tuple[int, int]]] | None = None
        self._searched = -1
        """The step whose samples were looked up in the training text."""
        self._is_reading = False
        self._told: set[Path] = set()

    def _reader(self, folder: Path) -> RunReader:
        return self._readers.setdefault(folder, RunReader(folder))

    # An opened one

    def _open(self, folder: Path) -> None:
        self._folder, self._view = folder, RunView(folder)
        self._chosen, self._marked = "", frozenset()
        self._copied, self._spans, self._searched = Copied(folder), None, -1
        self.add_class("-opened")
        self.set_focus(None)
        self._say("")
        self._draw()
        self._note(folder)
        self._look()

    @work(group="note")
    async def _note(self, folder: Path) -> None:
        await asyncio.to_thread(training.remember, folder)

    def _look(self) -> None:
        if self._folder is not None and self.is_current and not self._is_reading:
            self._read_run(self._folder)

    @work(group="read")
    async def _read_run(self, folder: Path) -> None:
        self._is_reading = True
        try:
            view = await asyncio.to_thread(self._reader(folder).read)
        finally:
            self._is_reading = False
        if folder != self._folder or not self.is_attached:
            return
        self._view = view
        child = self._children.get(folder)
        if child is not None and folder not in self._told and (failure := child.failure):
            self._told.add(folder)
            self._say(f"! {failure}", "$error")
        step = int(view.samples.get("step", -1))
        if step != self._searched and self._copied is not None and view.checkpoints:
            self._searched = step
            self._search(self._copied, [str(one[1]) for one in view.samples.get("samples", ())])
        self._draw()

    @work(exclusive=True, group="copied")
    async def _search(self, copied: Copied, texts: Sequence[str]) -> None:
        found = await asyncio.to_thread(copied.spans, texts)
        if copied is self._copied and self.is_attached:
            self._spans = found
            self._draw()

    def _draw(self) -> None:
        if not self.query(Footer):  # the app has ended meanwhile
            return
        self.query_one(Footer).hints = tuple(words.hints(self._view))
        self._say_command()
        view = self._view
        if view is None:
            return
        width, is_short, is_wide = self.size.width, self.has_class("-short"), self.has_class("-wide")
        has_failed = not view.begun and view.folder in self._told
        self.query_one(Header).state = "○ failed" if has_failed else words.header_line(view)
        self._put("head", words.head(view, width))
        self._put("now", words.now(view, width))
        self._put("alarm", words.alarm(view, width))
        steps = int(view.begun.get("steps", 0))
        self.query_one(Plot).show(Curves(view.train, view.valid, view.best, steps))
        room = max(3, self.size.height - 16) if is_wide else 2 if is_short else 3
        at = self._at
        self._put("checkpoints", words.checkpoints(view.checkpoints, at, self._marked, room))
        most = 3 if is_short else 12 if self.has_class("-tall") else 5
        self._put("samples", words.samples(view, self._spans, width, most))

    def _put(self, name: str, content: Content) -> None:
        text = self.query_one(f"#{name}", Text)
        text.show(content)
        text.set_class(not content.plain, "-empty")

    def _say(self, text: str, style: str = "$muted") -> None:
        said = self.query_one("#said", Text)
        said.set_class(not text, "-empty")
        said.show(styled((text, style)))

    @property
    def command(self) -> str:
        """The command line that does the same."""
        return words.command(self._view) if self._view is not None else "palaver train lm TEXT --tui"

    def _say_command(self) -> None:
        self.query_one("#command", Text).show(styled(("$ " + self.command, "$muted")))

    # Checkpoints

    @property
    def _at(self) -> int:
        """Where the chosen checkpoint stands among those there are."""
        found = self._view.checkpoints if self._view is not None else ()
        named = [at for at, one in enumerate(found) if one.name == self._chosen]
        best = [at for at, one in enumerate(found) if one.is_best]
        return (named or best or [len(found) - 1])[0]

    @property
    def _checkpoint(self) -> Checkpoint | None:
        return self._view.checkpoints[self._at] if self._view is not None and self._view.checkpoints else None

    def action_choose(self, step: int) -> None:
        """Choose another checkpoint."""
        if self._view is not None and self._view.checkpoints:
            self._chosen = self._view.checkpoints[(self._at + step) % len(self._view.checkpoints)].name
            self._draw()

    def action_mark(self) -> None:
        """Mark the chosen checkpoint, or take its mark away."""
        if (one := self._checkpoint) is not None:
            self._marked ^= {one.name}
            self._draw()

    def _model(self, name: str) -> str:
        assert self._folder is not None
        found = words.named(self._folder / name)
        return found if found.startswith(".") else str(self._folder / name)

    def action_chat(self) -> None:
        """Answer with the chosen checkpoint in the chat from now on."""
        if (one := self._checkpoint) is not None:
            assert self._folder is not None
            task = words.task_of(training.settings_of(self._folder))
            self.post_message(Go("Chat", f"/model {self._model(one.name)}\n/{task} "))
        elif self._view is not None and self._view.ended and (self._view.folder / training.TUNED).exists():
            self.post_message(Go("Chat", f"/model {self._model('')}"))
        elif self._view is not None:
            self._say("there is no checkpoint yet: the first comes with the first evaluation")

    def action_compare(self) -> None:
        """Ask two checkpoints the same."""
        view, one = self._view, self._checkpoint
        if view is None:
            return
        there = [found.name for found in view.checkpoints]
        pair = [name for name in there if name in self._marked]
        if len(pair) != 2 and one is not None:
            others = [name for name in there if name != one.name and name in self._marked] or there[-1:] + there[:1]
            pair = [one.name, *[name for name in others if name != one.name][:1]]
        if len(pair) == 2:
            self.post_message(Go("Compare", names_line(map(self._model, pair))))
        else:
            self._say("comparing takes two checkpoints; --keep 10 has a run keep more of them")

    # Steering

    def _order(self, what: str, said: str) -> None:
        if self._view is None or self._folder is None:
            return
        if not self._view.is_running:
            self._say(f"this run does not run: {words.state(self._view)}")
            return
        try:
            training.order(self._folder, what)
        except OSError as error:
            self._say(f"! the order cannot be written: {error.strerror}", "$error")
        else:
            self._say(said)

    def action_pause(self) -> None:
        """Pause the run, or go on with it; one that was stopped is taken up again."""
        view = self._view
        if view is None or self._folder is None:
            return
        if view.is_running:
            self._order("go" if view.is_paused else "pause", "going on…" if view.is_paused else "pausing…")
        elif view.ended and view.ended.get("reason") != "stopped":
            self._say("it is done; a longer one: palaver train resume FOLDER --steps N")
        elif view.checkpoints:
            self._begin(["resume", str(self._folder)])
        else:
            self._say("there is no checkpoint to go on from")

    def action_lower(self) -> None:
        """Halve the learning rate."""
        self._order("lower", "the learning rate is halved after this step")

    def action_stop(self) -> None:
        """Stop the run, and keep what it has learnt."""
        self._order("stop", "stopping after this step… everything is kept")

    def _begin(self, parts: Sequence[str]) -> None:
        """Run `palaver train` with these words, and show it."""
        raise NotImplementedError
