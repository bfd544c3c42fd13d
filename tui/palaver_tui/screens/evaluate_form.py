"""What a new evaluation needs, as a form: task, data set, models, options, limit; it begins when all of it is right."""

from __future__ import annotations

import asyncio
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Input

from palaver.errors import PalaverError, UsageError
from palaver.plans import Wanted, make_plans
from palaver_tui.completions import file_entries
from palaver_tui.places import Keys
from palaver_tui.spelled import names_in
from palaver_tui.widgets.filter_box import Line
from palaver_tui.widgets.footer import Footer, Hint
from palaver_tui.widgets.header import Header
from palaver_tui.widgets.text import Text, styled

if TYPE_CHECKING:
    from palaver.data import Dataset
    from palaver.runs import Plan
    from palaver.session import Session

LOOK_SECONDS = 0.3
"""What was typed is looked at when nothing has been typed for so long."""
LARGEST_LOOK = 20_000_000
"""Bytes of a data set up to which it is read while the form is filled in; a larger one is read when it begins."""
HINTS = (
    Hint("enter", "begin", 1),
    Hint("tab", "complete, next", 2),
    Hint("ctrl+t", "copy command", 4),
    Hint("esc", "leave", 3),
    Hint("F1", "help", 5),
)
FIELDS = ("task", "dataset", "models", "options", "limit")
LABELS = {"dataset": "data set"}
MEANT = {
    "task": "summarize, translate, qa …",
    "dataset": "a file (jsonl, csv, tsv, parquet, lines; .gz), history:FILTER, or the name of a kept one",
    "models": "one or more, with spaces between them",
    "options": "of the task and of decoding: length=1 seed=0",
    "limit": "the first so many examples; empty takes all",
}


@dataclass(frozen=True, slots=True)
class Ready:
    """A new evaluation that can begin."""

    dataset: Dataset
    plans: list[Plan]


class EvaluateForm(ModalScreen[Ready | None]):
    """Closes with what is ready to begin, or with nothing."""

    CSS_PATH = "evaluate_form.tcss"
    HELP_KEYS: ClassVar[Keys] = (
        ("enter", "begin"),
        ("tab", "complete what is typed; without anything to complete, the next field"),
        ("shift+tab", "the field before"),
        ("ctrl+t", "copy the command line that does the same"),
        ("esc", "leave; what was typed is there the next time"),
    )
    BINDINGS: ClassVar = [
        Binding("escape", "leave", "leave", show=False, id="evaluate_form.leave"),
        Binding("ctrl+t", "copy_command", "copy command", show=False, id="evaluate_form.copy_command", priority=True),
        Binding("down", "app.focus_next", "next", show=False, id="evaluate_form.next"),
        Binding("up", "app.focus_previous", "previous", show=False, id="evaluate_form.previous"),
    ]

    def __init__(self, session: Session, values: dict[str, str]) -> None:
        super().__init__()
        self._session = session
        self._values = values
        self._is_reading = False

    def compose(self) -> ComposeResult:
        yield Header("Evaluate", "a new evaluation")
        with VerticalScroll(id="form", can_focus=False):
            for name in FIELDS:
                with Horizontal(classes="form-row"):
                    yield Text(LABELS.get(name, name), classes="form-label")
                    yield _FormLine(_suggester(name, self._session), name, self._values.get(name, ""))
        with Vertical(id="below"):
            yield Text(id="meant")
            yield Text(id="command")
        yield Footer(HINTS)

    def on_mount(self) -> None:
        empty = "dataset" if self._values.get("task", "") else "task"  # the others may stay empty
        self.query_one(f"#{empty}", Input).focus()
        self._look()

    @property
    def values(self) -> dict[str, str]:
        """What is in the fields."""
        return {name: self.query_one(f"#{name}", Input).value for name in FIELDS}

    @on(Input.Changed)
    def _typed(self) -> None:
        if self.is_attached:
            self._values |= self.values
            self._look()

    @work(exclusive=True, group="look")
    async def _look(self) -> None:
        """Say what would be evaluated, or what is missing, and the command line."""
        self.query_one("#command", Text).show(styled(("$ " + command_line(self.values), "$muted")))
        await asyncio.sleep(LOOK_SECONDS)
        values = self.values
        if not values["task"].strip() or not values["dataset"].strip():
            self._say("a task and a data set are needed", "$muted")
            return
        try:
            if await asyncio.to_thread(_size, values["dataset"]) > LARGEST_LOOK:
                self._say("the data set is large: it is read when the evaluation begins", "$muted")
                return
            ready = await asyncio.to_thread(make_ready, self._session, values)
        except PalaverError as error:
            self._say(str(error), "$muted")
        except Exception as error:  # a plugin's data set may raise anything at all
            self._say(f"{type(error).__name__}: {error}", "$muted")
        else:
            self._say(described(ready), "")

    def _say(self, text: str, style: str) -> None:
        said = self.query_one("#meant", Text)
        said.show(styled((text, style)) if style else text)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        if not self._is_reading:
            self._begin()

    @work(group="begin")
    async def _begin(self) -> None:
        self._is_reading = True
        self.workers.cancel_group(self, "look")
        self._say("reading…", "$muted")
        try:
            ready = await asyncio.to_thread(make_ready, self._session, self.values)
        except PalaverError as error:
            self._say(f"! {error}" + (f" Fix: {error.fix}" if error.fix else ""), "$error")
        except Exception as error:  # a plugin's data set may raise anything at all
            self._say(f"! {type(error).__name__}: {error}", "$error")
        else:
            self.dismiss(ready)
        finally:
            self._is_reading = False

    def action_leave(self) -> None:
        """Back; the values are kept."""
        self.dismiss(None)

    def action_copy_command(self) -> None:
        """Copy the command line that does the same."""
        self.app.copy_to_clipboard(command_line(self.values))
        self._say("copied the command line", "$muted")


class _FormLine(Line):
    """A field: tab takes what is offered, else goes on."""

    BINDINGS: ClassVar = [Binding("tab", "complete", "complete", show=False, id="form.complete")]

    def __init__(self, offers: Suggester | None, name: str, value: str) -> None:
        super().__init__(placeholder=MEANT[name], suggester=offers, id=name)
        self.value = value
        self._offers = offers

    async def action_complete(self) -> None:
        """Take the offered word; without one, go to the next field."""
        whole = await self._offers.get_suggestion(self.value) if self._offers is not None else None
        if whole and self.cursor_at_end:
            self.value = whole
            self.action_end()
        else:
            self.screen.focus_next()


class _Offers(Suggester):
    """Completes the last word of a line to one of some words."""

    def __init__(self, words: list[str]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._words = words

    async def get_suggestion(self, value: str) -> str | None:
        typed = value.split(" ")[-1]
        found = next((one for one in self._words if typed and one.startswith(typed) and one != typed), None)
        return value.removesuffix(typed) + found if found else None


class _Files(Suggester):
    """Completes a path, as far as there is only one way on."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._names = names

    async def get_suggestion(self, value: str) -> str | None:
        if not value:
            return None
        paths = [one.text.removeprefix("@") for one in await asyncio.to_thread(file_entries, f"@{value}")]
        return next((one for one in [*self._names, *paths] if one.startswith(value) and one != value), None)


def _suggester(field: str, session: Session) -> Suggester | None:
    registry = session.registry
    if field == "task":
        return _Offers([name for name in registry.tasks() if name != "chat"])
    if field == "models":
        return _Offers([info.name for info in registry.models() if registry.is_installed(info)])
    if field == "dataset":
        return _Files([*(one.name for one in session.store.datasets()), "history:"])
    if field == "options":
        return _Offers(["length=", "target=", "source=", "seed=", "temperature=", "max_new_tokens="])
    return None


def wanted_of(values: dict[str, str]) -> Wanted:
    """What the fields mean.

    Raises:
        UsageError: an option is no KEY=VALUE, or the limit is no number.
    """
    options: dict[str, str] = {}
    for word in values["options"].replace(",", " ").split():
        key, equals, value = word.partition("=")
        if not equals or not key or not value:
            raise UsageError(f"An option is KEY=VALUE, such as length=1, not '{word}'.")
        options[key] = value
    limit = values["limit"].strip().replace(",", "")
    if limit and not (limit.isascii() and limit.isdigit() and int(limit)):
        raise UsageError(f"The limit is a whole number of examples, not '{limit}'.")
    return Wanted(
        task=values["task"].strip(),
        dataset=values["dataset"].strip(),
        models=tuple(dict.fromkeys(names_in(values["models"]))),
        options=options,
        limit=int(limit) if limit else None,
    )


def make_ready(session: Session, values: dict[str, str]) -> Ready:
    """The data set, read, and a plan for each model.

    Raises:
        PalaverError: something is wrong with what was typed; says what.
    """
    wanted = wanted_of(values)
    if not wanted.task or not wanted.dataset:
        raise UsageError("An evaluation takes a task and a data set.")
    return Ready(*make_plans(session.registry, session.store, wanted))


def described(ready: Ready) -> str:
    """What enter begins: how many examples, which column is which, which models."""
    dataset, plan = ready.dataset, ready.plans[0]
    columns = ", ".join(f"{part} ← {column}" for part, column in dataset.columns.items())
    said = f"{plan.n:,} examples of {len(dataset.examples):,} · {columns} · " + ", ".join(
        one.model for one in ready.plans
    )
    if dataset.bad:
        said += f"\n{len(dataset.bad):,} bad records are left out; {dataset.bad[0].place}: {dataset.bad[0].reason}"
    if not any(one.references for one in dataset.examples):
        said += "\nno references: only numbers that need none"
    return said


def command_line(values: dict[str, str]) -> str:
    """The command line that evaluates the same."""
    words = ["palaver", "eval", values["task"].strip() or "TASK"]
    dataset = values["dataset"].strip()
    words.append(shlex.quote(dataset) if dataset else "DATASET")
    for name in names_in(values["models"]):
        words += ["-m", shlex.quote(name)]
    for option in values["options"].replace(",", " ").split():
        words += ["-o", shlex.quote(option)]
    if limit := values["limit"].strip():
        words += ["--limit", shlex.quote(limit)]
    return " ".join(words)


def _size(source: str) -> int:
    path = Path(source.strip()).expanduser()
    return path.stat().st_size if path.is_file() else 0
