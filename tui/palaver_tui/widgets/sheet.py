"""All about one thing: a title, then a label and its text a row; long texts hang behind their label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll

from palaver_tui.widgets.text import Text, styled

MOST = 16
"""Rows that there is room for."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A row. Any text at all."""

    label: str
    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A thing in full."""

    title: str
    head: str = ""
    """What it is, behind the title."""
    facts: Sequence[Fact] = ()
    """Those without a text are left out."""


class SheetView(VerticalScroll):
    """A sheet; scrolls when it is long."""

    DEFAULT_CSS = """
    SheetView {
        height: auto;
        scrollbar-size-vertical: 1;
        scrollbar-color: $hairline;
        scrollbar-color-hover: $muted;
        scrollbar-color-active: $muted;
        scrollbar-background: $background;
        scrollbar-background-hover: $background;
        scrollbar-background-active: $background;
        .sheet-head { height: auto; }
        .sheet-row { height: auto; }
        .sheet-label { width: 10; color: $muted; }
        .sheet-text { width: 1fr; max-width: 104; height: auto; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._head = Text(classes="sheet-head")
        self._rows = [(Text(classes="sheet-label"), Text(classes="sheet-text")) for _ in range(MOST)]

    def compose(self) -> ComposeResult:
        yield self._head
        for label, text in self._rows:
            with Horizontal(classes="sheet-row"):
                yield label
                yield text

    def show(self, sheet: Sheet | None) -> None:
        """Show a thing, or nothing; as soon as the rows are there, where somebody was quicker."""
        if self._rows[-1][0].parent is None:
            self.call_after_refresh(self.show, sheet)
            return
        self._head.show(styled((sheet.title, "bold"), (f"  {sheet.head}", "$muted")) if sheet else "")
        facts = [one for one in sheet.facts if one.text][:MOST] if sheet else []
        for index, (label, text) in enumerate(self._rows):
            row = label.parent
            assert isinstance(row, Horizontal)
            row.display = index < len(facts)
            if row.display:
                fact = facts[index]
                label.show(fact.label)
                text.show(styled((fact.text, fact.style)) if fact.style else fact.text)
