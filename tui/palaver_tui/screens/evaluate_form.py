"""What a new evaluation needs, as a form: task, data set, models, options, limit; it begins when all of it is right."""

from __future__ import annotations

import asyncio
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.suggester import Suggester
from textual.widgets import Input

from palaver.errors import PalaverError, UsageError
from palaver.plans import Wanted, make_plans
from palaver_tui.screens.command_form import CommandForm, Files, Words, bindings
from palaver_tui.spelled import names_in

if TYPE_CHECKING:
    from palaver.data import Dataset
    from palaver.runs import Plan
    from palaver.session import Session

LOOK_SECONDS = 0.3
"""What was typed is looked at when nothing has been typed for so long."""
LARGEST_LOOK = 20_000_000
"""Bytes of a data set up to which it is read while the form is filled in; a larger one is read when it begins."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A new evaluation that can begin."""

    dataset: Dataset
    plans: list[Plan]


class EvaluateForm(CommandForm[Ready | None]):
    """Closes with what is ready to begin, or with nothing."""

    HEAD = ("Evaluate", "a new evaluation")
    LABELS: ClassVar = {"dataset": "data set"}
    MEANT: ClassVar = {
        "task": "summarize, translate, qa …",
        "dataset": "a file (jsonl, csv, tsv, parquet, lines; .gz), history:FILTER, or the name of a kept one",
        "models": "one or more, with spaces between them",
        "options": "of the task and of decoding: length=1 seed=0",
        "limit": "the first so many examples; empty takes all",
    }
    BINDINGS: ClassVar = bindings("evaluate_form")

    def __init__(self, session: Session, values: dict[str, str]) -> None:
        super().__init__(values)
        self._session = session
        self._is_reading = False

    @property
    def command(self) -> str:
        """The command line that evaluates the same."""
        return command_line(self.values)

    def offers(self, field: str) -> Suggester | None:
        """What completes a field."""
        registry = self._session.registry
        if field == "task":
            return Words([name for name in registry.tasks() if name != "chat"])
        if field == "models":
            return Words([info.name for info in registry.models() if registry.is_installed(info)])
        if field == "dataset":
            return Files([*(one.name for one in self._session.store.datasets()), "history:"])
        if field == "options":
            return Words(["length=", "target=", "source=", "seed=", "temperature=", "max_new_tokens="])
        return None

    def first(self) -> str:
        """The first empty field of those that may not stay empty."""
        return "dataset" if self._values.get("task", "") else "task"

    @work(exclusive=True, group="look")
    async def look(self) -> None:
        """Say what would be evaluated, or what is missing, and the command line."""
        self.show_command()
        await asyncio.sleep(LOOK_SECONDS)
        values = self.values
        if not values["task"].strip() or not values["dataset"].strip():
            self.say("a task and a data set are needed", "$muted")
            return
        try:
            if await asyncio.to_thread(_size, values["dataset"]) > LARGEST_LOOK:
                self.say("the data set is large: it is read when the evaluation begins", "$muted")
                return
            ready = await asyncio.to_thread(make_ready, self._session, values)
        except PalaverError as error:
            self.say(str(error), "$muted")
        except Exception as error:  # a plugin's data set may raise anything at all
            self.say(f"{type(error).__name__}: {error}", "$muted")
        else:
            self.say(described(ready))

    @on(Input.Submitted)
    def _submitted(self) -> None:
        if not self._is_reading:
            self._begin()

    @work(group="begin")
    async def _begin(self) -> None:
        self._is_reading = True
        self.workers.cancel_group(self, "look")
        self.say("reading…", "$muted")
        try:
            ready = await asyncio.to_thread(make_ready, self._session, self.values)
        except PalaverError as error:
            self.say(f"! {error}" + (f" Fix: {error.fix}" if error.fix else ""), "$error")
        except Exception as error:  # a plugin's data set may raise anything at all
            self.say(f"! {type(error).__name__}: {error}", "$error")
        else:
            self.dismiss(ready)
        finally:
            self._is_reading = False


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
