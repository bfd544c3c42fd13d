"""Labels with texts that hang beside them: where an answer came from, how its scores were computed."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from palaver.terminal import cells
from palaver_tui.widgets.text import Text


class Facts(Vertical):
    """One row a fact; the labels are as wide as the widest of them."""

    DEFAULT_CSS = """
    Facts { height: auto; margin: 0 0 1 0; }
    Facts > Horizontal { height: auto; }
    Facts .label { color: $muted; width: auto; }
    Facts .fact { width: 1fr; height: auto; }
    """

    def __init__(self, facts: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._facts = facts

    def compose(self) -> ComposeResult:
        width = max((cells(label) for label, _ in self._facts), default=0) + 2
        for label, text in self._facts:
            with Horizontal():
                yield Text(label + " " * (width - cells(label)), classes="label")
                yield Text(text, classes="fact")
