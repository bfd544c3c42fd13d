"""A form that stands for a command line: fields that complete what is typed, what they mean, and the line itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Input

from palaver_tui.completions import file_entries
from palaver_tui.places import Keys
from palaver_tui.widgets.filter_box import Line
from palaver_tui.widgets.footer import Footer, Hint
from palaver_tui.widgets.header import Header
from palaver_tui.widgets.text import Text, styled

Result = TypeVar("Result")

HINTS = (
    Hint("enter", "begin", 1),
    Hint("tab", "complete, next", 2),
    Hint("ctrl+t", "copy command", 4),
    Hint("esc", "leave", 3),
    Hint("F1", "help", 5),
)


def bindings(name: str) -> list[BindingType]:
    """The keys of the form that `keys.toml` calls by this name."""
    return [
        Binding("escape", "leave", "leave", show=False, id=f"{name}.leave"),
        Binding("ctrl+t", "copy_command", "copy command", show=False, id=f"{name}.copy_command", priority=True),
        Binding("down", "app.focus_next", "next", show=False, id=f"{name}.next"),
        Binding("up", "app.focus_previous", "previous", show=False, id=f"{name}.previous"),
    ]


class CommandForm(ModalScreen[Result]):
    """Keeps what was typed in the mapping that it is given, also when it is left."""

    CSS_PATH = "command_form.tcss"
    HEAD: ClassVar[tuple[str, str]]
    MEANT: ClassVar[Mapping[str, str]]
    """The fields, each with what belongs into it."""
    LABELS: ClassVar[Mapping[str, str]] = {}
    """What fields are called that are not called by their name."""
    HELP_KEYS: ClassVar[Keys] = (
        ("enter", "begin"),
        ("tab", "complete what is typed; without anything to complete, the next field"),
        ("shift+tab", "the field before"),
        ("ctrl+t", "copy the command line that does the same"),
        ("esc", "leave; what was typed is there the next time"),
    )

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__()
        self._values = values

    def compose(self) -> ComposeResult:
        yield Header(*self.HEAD)
        with VerticalScroll(id="form", can_focus=False):
            for name, meant in self.MEANT.items():
                with Horizontal(classes="form-row"):
                    yield Text(self.LABELS.get(name, name), classes="form-label")
                    yield FormLine(self.offers(name), name, meant, self._values.get(name, ""))
        with Vertical(id="below"):
            yield Text(id="meant")
            yield Text(id="command")
        yield Footer(HINTS)

    def on_mount(self) -> None:
        self.query_one(f"#{self.first()}", Input).focus()
        self.look()

    @property
    def values(self) -> dict[str, str]:
        """What is in the fields."""
        return {name: self.query_one(f"#{name}", Input).value for name in self.MEANT}

    # What a form of this kind has of its own

    @property
    def command(self) -> str:
        """The command line that does the same."""
        raise NotImplementedError

    def offers(self, field: str) -> Suggester | None:
        """What completes a field."""
        raise NotImplementedError

    def first(self) -> str:
        """The field to begin with."""
        raise NotImplementedError

    def look(self) -> object:
        """Say what the fields mean, or what is missing."""
        raise NotImplementedError

    # What all have

    def say(self, text: str, style: str = "") -> None:
        """A word on what is typed, above the command line."""
        self.query_one("#meant", Text).show(styled((text, style)) if style else text)

    def show_command(self) -> None:
        """The command line as the fields are now."""
        self.query_one("#command", Text).show(styled(("$ " + self.command, "$muted")))

    @on(Input.Changed)
    def _typed(self) -> None:
        if self.is_attached:
            self._values |= self.values
            self.look()

    def action_leave(self) -> None:
        """Back; the values are kept."""
        self.dismiss(None)

    def action_copy_command(self) -> None:
        """Copy the command line that does the same."""
        self.app.copy_to_clipboard(self.command)
        self.say("copied the command line", "$muted")


class FormLine(Line):
    """A field: tab takes what is offered, else goes on."""

    BINDINGS: ClassVar = [Binding("tab", "complete", "complete", show=False, id="form.complete")]

    def __init__(self, offers: Suggester | None, name: str, meant: str, value: str) -> None:
        super().__init__(placeholder=meant, suggester=offers, id=name)
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


class Words(Suggester):
    """Completes the last word of a line to one of some words."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._words = words

    async def get_suggestion(self, value: str) -> str | None:
        typed = value.split(" ")[-1]
        found = next((one for one in self._words if typed and one.startswith(typed) and one != typed), None)
        return value.removesuffix(typed) + found if found else None


class Files(Suggester):
    """Completes a path, as far as there is only one way on, or one of some names."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._names = names

    async def get_suggestion(self, value: str) -> str | None:
        if not value:
            return None
        paths = [one.text.removeprefix("@") for one in await asyncio.to_thread(file_entries, f"@{value}")]
        return next((one for one in [*self._names, *paths] if one.startswith(value) and one != value), None)
