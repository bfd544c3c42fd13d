"""What a new run needs, as a form: kind, text, folder and settings; it shows the command line that it runs."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Input

from palaver_tui.completions import file_entries
from palaver_tui.places import Keys
from palaver_tui.training import METRICS
from palaver_tui.widgets.filter_box import Line
from palaver_tui.widgets.footer import Footer, Hint
from palaver_tui.widgets.header import Header
from palaver_tui.widgets.text import Text, styled

HINTS = (
    Hint("enter", "begin", 1),
    Hint("tab", "complete, next", 2),
    Hint("ctrl+t", "copy command", 4),
    Hint("esc", "leave", 3),
    Hint("F1", "help", 5),
)
KINDS = ("lm", "autoencoder", "seq2seq")
FIELDS = ("kind", "text", "target", "out", "settings")
MEANT = {
    "kind": "lm goes on with a text; autoencoder makes vectors; seq2seq turns one text into another",
    "text": "a file to learn from, or a .toml with all settings; for seq2seq the sources, a text a line",
    "target": "for seq2seq: what the sources become, line by line",
    "out": "a folder for the checkpoints",
    "settings": "--steps 2000 --width 128 --context 64 --keep 10; palaver train lm --help lists all",
}
FIRST = {"kind": "lm", "out": "checkpoint", "settings": "--keep 10"}


class TrainForm(ModalScreen[Sequence[str] | None]):
    """Closes with the words behind `palaver train`, or with nothing."""

    CSS_PATH = "evaluate_form.tcss"
    HELP_KEYS: ClassVar[Keys] = (
        ("enter", "begin"),
        ("tab", "complete the name of a file; without anything to complete, the next field"),
        ("shift+tab", "the field before"),
        ("ctrl+t", "copy the command line that does the same"),
        ("esc", "leave; what was typed is there the next time"),
    )
    BINDINGS: ClassVar = [
        Binding("escape", "leave", "leave", show=False, id="train_form.leave"),
        Binding("ctrl+t", "copy_command", "copy command", show=False, id="train_form.copy_command", priority=True),
        Binding("down", "app.focus_next", "next", show=False, id="train_form.next"),
        Binding("up", "app.focus_previous", "previous", show=False, id="train_form.previous"),
    ]

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__()
        self._values = values
        for name, value in FIRST.items():
            values.setdefault(name, value)

    def compose(self) -> ComposeResult:
        yield Header("Train", "a new run")
        with VerticalScroll(id="form", can_focus=False):
            for name in FIELDS:
                with Horizontal(classes="form-row"):
                    yield Text(name, classes="form-label")
                    yield _TrainLine(name, self._values.get(name, ""))
        with Vertical(id="below"):
            yield Text(id="meant")
            yield Text(id="command")
        yield Footer(HINTS)

    def on_mount(self) -> None:
        self.query_one("#text", Input).focus()
        self._say_what()

    @property
    def values(self) -> dict[str, str]:
        """What is in the fields."""
        return {name: self.query_one(f"#{name}", Input).value for name in FIELDS}

    @property
    def command(self) -> str:
        """The command line that does the same."""
        try:
            return "palaver train " + shlex.join(arguments(self.values))
        except ValueError:
            return "palaver train"

    @on(Input.Changed)
    def _typed(self) -> None:
        if self.is_attached:
            self._values |= self.values
            self._say_what()

    def _say_what(self) -> None:
        problem = wrong(self.values)
        self._say(problem or "enter begins; the run goes on when the window is closed", "$muted")
        self.query_one("#command", Text).show(styled(("$ " + self.command, "$muted")))

    def _say(self, text: str, style: str) -> None:
        self.query_one("#meant", Text).show(styled((text, style)))

    @on(Input.Submitted)
    def _submitted(self) -> None:
        if problem := wrong(self.values):
            self._say(f"! {problem}", "$error")
        else:
            self.dismiss(arguments(self.values))

    def action_leave(self) -> None:
        """Back; the values are kept."""
        self.dismiss(None)

    def action_copy_command(self) -> None:
        """Copy the command line that does the same."""
        self.app.copy_to_clipboard(self.command)
        self._say("copied the command line", "$muted")


def arguments(values: dict[str, str]) -> list[str]:
    """The words behind `palaver train`.

    Raises:
        ValueError: a quotation mark in the settings is not closed.
    """
    kind, text, target = (values[name].strip() for name in ("kind", "text", "target"))
    given = ["--source", text] if kind == "seq2seq" and text and not text.endswith((".toml", ".json")) else [text]
    more = ["--target", target] if target else []
    return [kind, *filter(None, given), *more, "--out", values["out"].strip(), *shlex.split(values["settings"])]


def wrong(values: dict[str, str]) -> str:
    """What is missing or cannot be; nothing where the run can begin."""
    kind, text, out = (values[name].strip() for name in ("kind", "text", "out"))
    if kind not in KINDS:
        return f"the kind is one of {', '.join(KINDS)}"
    if not text:
        return "a text to learn from is needed"
    for name in ("text", "target"):
        if values[name].strip() and not Path(values[name].strip()).expanduser().is_file():
            return f"there is no file {values[name].strip()}"
    if not out:
        return "a folder for the checkpoints is needed"
    if (Path(out).expanduser() / METRICS).exists():
        return f"{out} holds a run already: name another folder"
    try:
        shlex.split(values["settings"])
    except ValueError:
        return "a quotation mark in the settings is not closed"
    return ""


class _TrainLine(Line):
    """A field: tab takes what is offered, else goes on."""

    BINDINGS: ClassVar = [Binding("tab", "complete", "complete", show=False, id="train_form.complete")]

    def __init__(self, name: str, value: str) -> None:
        self._offers = _Kinds() if name == "kind" else _Files() if name in ("text", "target") else None
        super().__init__(placeholder=MEANT[name], suggester=self._offers, id=name)
        self.value = value

    async def action_complete(self) -> None:
        """Take the offered word; without one, go to the next field."""
        whole = await self._offers.get_suggestion(self.value) if self._offers is not None else None
        if whole and self.cursor_at_end:
            self.value = whole
            self.action_end()
        else:
            self.screen.focus_next()


class _Kinds(Suggester):
    """Completes a kind."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        return next((one for one in KINDS if value and one.startswith(value) and one != value), None)


class _Files(_Kinds):
    """Completes a path, as far as there is only one way on."""

    async def get_suggestion(self, value: str) -> str | None:
        if not value:
            return None
        paths = [one.text.removeprefix("@") for one in await asyncio.to_thread(file_entries, f"@{value}")]
        return next((one for one in paths if one.startswith(value) and one != value), None)
