"""The Evaluate screen: begin an evaluation, watch it, halt it, take it up again, and look at those there were."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content

from palaver_tui.entries import PaletteCommand
from palaver_tui.evaluating import Evaluating, Moved, Refused
from palaver_tui.go import Go
from palaver_tui.progress import View
from palaver_tui.screens import evaluate_words as words
from palaver_tui.screens.evaluate_form import EvaluateForm, Ready
from palaver_tui.screens.history_words import in_full
from palaver_tui.screens.place import PlaceScreen
from palaver_tui.screens.run_rows import LAYOUTS, run_rows, together
from palaver_tui.widgets.footer import Footer, Hint
from palaver_tui.widgets.header import Header
from palaver_tui.widgets.table import Table
from palaver_tui.widgets.text import Text, styled

if TYPE_CHECKING:
    from palaver.session import Session

LOOK_SECONDS = 0.2
"""Between two looks at how far an evaluation is."""
NOTHING_YET = (
    "Nothing has been evaluated yet. n begins: a task over a data set, by one or more models, each answer kept and "
    "scored.\n\nA first one that needs no download: task summarize, a JSONL file with a text and a summary a line, "
    "models lead-3 and lexrank."
)


class EvaluateScreen(PlaceScreen):
    """A list of the evaluations, and one of them opened."""

    CSS_PATH = "evaluate.tcss"
    HELP_KEYS = words.KEYS
    BINDINGS: ClassVar = [
        Binding("n", "new", "new", id="evaluate.new"),
        Binding("space", "pause", "pause", id="evaluate.pause"),
        Binding("s", "stop", "stop and keep", id="evaluate.stop"),
        Binding("c", "compare", "compare", id="evaluate.compare"),
        Binding("enter", "examples", "examples", id="evaluate.examples"),
        Binding("j,down", "choose(1)", "next model", show=False, id="evaluate.next"),
        Binding("k,up", "choose(-1)", "previous model", show=False, id="evaluate.previous"),
        Binding("ctrl+t", "copy_command", "copy command", show=False, id="evaluate.copy_command"),
        Binding("escape", "back", "back", id="evaluate.back"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._works: list[Evaluating] = []
        """What runs, and what is shown; the last one is shown."""
        self._view: View | None = None
        self._chosen = 0
        self._follows = True
        """The chosen model is the one that runs, until another is chosen."""
        self._values: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        yield Header("Evaluate")
        yield Table(LAYOUTS, id="runs")
        yield Text(NOTHING_YET, id="empty")
        with VerticalScroll(id="report"):
            yield Text(id="head")
            yield Text(id="models")
            yield Text(id="intervals")
            yield Text(id="verdict")
            yield Text(id="left-out")
            yield Text(id="poor")
        with Vertical(id="below"):
            yield Text(id="said", classes="-empty")
            yield Text(id="command")
        yield Footer(words.LIST_HINTS)

    def on_mount(self) -> None:
        self._show_list()
        self.set_interval(LOOK_SECONDS, self._look)

    def on_screen_resume(self) -> None:
        """Runs may have been made meanwhile."""
        if not self.has_class("-opened"):
            self._table.show(partial(run_rows, self._session), at=self._table.cursor)

    def on_unmount(self) -> None:
        for one in self._works:
            one.close()

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)  # when the classes for this size are set

    def arrive(self, words: str) -> None:
        """Open the runs of these numbers, or begin with what was typed: a task, a data set, models."""
        numbers = words.replace("#", " ").split()
        if numbers and all(one.isdigit() for one in numbers):
            self._open([int(one) for one in numbers])
        elif numbers:
            self._values |= dict(zip(("task", "dataset"), numbers, strict=False)) | {"models": " ".join(numbers[2:])}
            self.action_new()

    def palette_commands(self) -> Iterable[PaletteCommand]:
        """A new evaluation, and what can be done with the one that is open."""
        yield PaletteCommand("evaluate: new", "a task over a data set, by one or more models", self.action_new)
        if self._view is not None:
            yield PaletteCommand("evaluate: pause or go on", "each answer is kept", self.action_pause)
            yield PaletteCommand("evaluate: stop and keep", "the rest can be asked later", self.action_stop)
            yield PaletteCommand("evaluate: examples", "the answers of the chosen model", self.action_examples)

    @property
    def is_busy(self) -> bool:
        """An evaluation runs."""
        return any(one.is_running for one in self._works)

    def halt(self) -> None:
        """Stop the evaluation that runs."""
        self.action_stop()

    # The list

    @property
    def _table(self) -> Table:
        return self.query_one("#runs", Table)

    def _show_list(self, at: int | None = None) -> None:
        self._view = None
        self.remove_class("-opened")
        self._table.show(partial(run_rows, self._session), at=at)
        self._table.focus()
        self._hint()
        self._say_command()
        self._count()

    @work(exclusive=True, group="count", thread=True)
    def _count(self) -> None:
        total = len(self._session.store.runs(kind="eval", limit=10_000))
        self.app.call_from_thread(self._say_state, f"{total:,} evaluation{'' if total == 1 else 's'}")

    def _say_state(self, said: str) -> None:
        if self._view is None and self.is_attached:
            self.query_one(Header).state = said

    @on(Table.Loaded)
    def _show_whether_empty(self, event: Table.Loaded) -> None:
        self.set_class(not event.rows, "-nothing")

    @on(Table.Highlighted)
    def _moved_on(self) -> None:
        self._say_command()

    @on(Table.Failed)
    def _list_failed(self, event: Table.Failed) -> None:
        self._say(in_full(event.error), "$error")

    @on(Table.Opened)
    def _open_row(self, event: Table.Opened) -> None:
        marks = self._table.marks
        self._open(sorted(marks) if event.row in marks else together(self._session.store, event.row))

    def _open(self, runs: Sequence[int]) -> None:
        live = next((one for one in self._works if one.is_running and set(runs) & set(one.runs)), None)
        if live is not None:
            self._works.remove(live)
            self._works.append(live)
            self._take(live.view)
            return
        self._works = [one for one in self._works if one.is_running]
        self._works.append(Evaluating(self._session, self.post_message))
        self._say("reading…")
        self._works[-1].open(runs)

    # An opened one

    @on(Moved)
    def _see(self, event: Moved) -> None:
        if self._works and event.work is self._works[-1]:
            self._take(event.view)

    @on(Refused)
    def _refuse(self, event: Refused) -> None:
        self._say(in_full(event.error), "$error")

    def _look(self) -> None:
        """Draw how far it is, if it has come further."""
        if self._view is not None and self._works[-1].view is not self._view and self._works[-1].is_running:
            self._take(self._works[-1].view)

    def _take(self, view: View | None) -> None:
        if view is None:
            return
        before, self._view = self._view, view
        is_new = before is None or before.lines[0].run_id != view.lines[0].run_id
        if is_new:
            self._chosen, self._follows = 0, True
            self._say("")
            self.add_class("-opened")
            self.query_one("#report").focus()
        elif before is not None and before.is_running != view.is_running:
            self._say(words.standing(view))
        if self._follows:
            at = [index for index, one in enumerate(view.lines) if one.state in ("loading", "running")]
            self._chosen = at[0] if at else self._chosen
        self._draw()

    def _draw(self) -> None:
        view = self._view
        if view is None:
            return
        width = self.size.width - 2  # the scroll bar's column, and one to breathe
        self.query_one(Header).state = words.state_line(view)
        self.query_one("#head", Text).show(styled((" " + words.head_line(view), "$muted")))
        self.query_one("#models", Text).show(words.models_text(view, width, self._chosen))
        self._put("intervals", words.intervals_text(view, width))
        self._put("verdict", words.verdict_text(view, width))
        self._put("left-out", styled((words.left_out_line(view), "$muted")))
        self._put("poor", words.poor_text(view, self._chosen, width))
        self._hint()
        self._say_command()

    def _put(self, name: str, content: Content) -> None:
        text = self.query_one(f"#{name}", Text)
        text.show(content)
        text.set_class(not content.plain, "-empty")

    def _hint(self) -> None:
        view = self._view
        hints: Sequence[Hint] = words.LIST_HINTS
        if view is not None:
            hints = words.RUNNING_HINTS if view.is_running else words.OPEN_HINTS
        if view is not None and view.is_done:
            hints = [one for one in hints if one.key != "space"]
        self.query_one(Footer).hints = tuple(hints)

    def _say(self, text: str, style: str = "$muted") -> None:
        said = self.query_one("#said", Text)
        said.set_class(not text, "-empty")
        said.show(styled((text, style)))

    @property
    def command(self) -> str:
        """The command line that shows or does the same."""
        if self._view is not None:
            return words.command_of(self._view)
        marks = sorted(self._table.marks)
        shown = marks or ([self._table.cursor] if self._table.cursor is not None else [])
        return " ".join(["palaver compare", *map(str, shown)])

    def _say_command(self) -> None:
        self.query_one("#command", Text).show(styled(("$ " + self.command, "$muted")))

    # Keys

    def action_new(self) -> None:
        """Fill in the form for a new one."""
        if self.is_busy:
            self._say("one evaluation at a time: s stops the one that runs and keeps what is there")
            return
        if not self._values:
            self._values |= _first_values(self._session)
        self.app.push_screen(EvaluateForm(self._session, self._values), self._begin)

    def _begin(self, ready: Ready | None) -> None:
        if ready is not None:
            self._view = None
            self._works = [Evaluating(self._session, self.post_message)]
            self._works[-1].begin(ready.dataset, ready.plans)

    def action_pause(self) -> None:
        """Pause what runs, or go on with what is missing."""
        if self._view is None or not self._works:
            return
        shown = self._works[-1]
        if shown.is_running:
            shown.halt("paused")
            self._say("pausing… what is being written now is asked again")
        elif self.is_busy:
            self._say("one evaluation at a time: s stops the one that runs and keeps what is there")
        elif not self._view.is_done:
            self._say("going on…")
            shown.go_on()

    def action_stop(self) -> None:
        """Stop what runs; what is there is kept, and the command line says how to do the rest."""
        running = next((one for one in self._works if one.is_running), None)
        if running is not None:
            running.halt("stopped")
            self._say("stopping… what is there is kept")

    def action_compare(self) -> None:
        """Look at two runs segment by segment."""
        if self._view is not None:
            runs = [one.run_id for one in self._view.lines if one.done]
            first = self._view.lines[self._chosen].run_id
            runs = [first, *(run for run in runs if run != first)][:2] if self._chosen and len(runs) > 2 else runs[:2]
        else:
            runs = sorted(self._table.marks)
        if len(runs) != 2:
            self._say(
                "comparing takes two runs: mark them with x"
                if self._view is None
                else "only one run has answers so far"
            )
        else:
            from palaver_tui.screens.compare_runs import CompareRunsScreen

            self.app.push_screen(CompareRunsScreen(self._session, (runs[0], runs[1])))

    def action_examples(self) -> None:
        """Show the answers of the chosen model in History."""
        if self._view is not None:
            self.post_message(Go("History", f"run:{self._view.lines[self._chosen].run_id}"))

    def action_choose(self, step: int) -> None:
        """Choose another model."""
        if self._view is not None:
            self._chosen = (self._chosen + step) % len(self._view.lines)
            self._follows = False
            self._draw()

    def action_copy_command(self) -> None:
        """Copy the command line."""
        self.app.copy_to_clipboard(self.command)
        self._say("copied the command line")

    def action_back(self) -> None:
        """To the list, then to the screen before."""
        if self._view is not None:
            self._say("")
            self._show_list(at=self._view.lines[0].run_id)
        else:
            self.app.pop_screen()


def _first_values(session: Session) -> dict[str, str]:
    """What the form begins with: the last evaluation's words, or a task with its baseline and the best model."""
    last = session.store.runs(kind="eval", limit=1)
    if last:
        plan = last[0].plan
        given = {**dict(plan.get("options") or {}), **dict(plan.get("config") or {})}  # type: ignore[call-overload]
        return {
            "task": str(plan.get("task", "")),
            "dataset": str(plan.get("dataset", "")),
            "models": " ".join(
                str(session.store.run(one).plan.get("model", "")) for one in together(session.store, last[0].id)
            ),
            "options": " ".join(f"{key}={value}" for key, value in given.items() if value not in ("", None)),
            "limit": str(plan.get("limit") or ""),
        }
    registry = session.registry
    named = [registry.baseline_for("summarize")]
    named += [info.name for info in registry.models() if not info.is_baseline and registry.is_installed(info)][:1]
    return {"task": "summarize", "models": " ".join(name for name in named if name), "dataset": ""}
