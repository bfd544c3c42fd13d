"""What is done with the text of the prompt beside sending it: a form, an editor, a file for it, a shell command."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from textual import on

from palaver.errors import PalaverError
from palaver_tui import slash
from palaver_tui.clipboard import copy_text
from palaver_tui.entries import PaletteCommand
from palaver_tui.screens.references import ReferenceScreen
from palaver_tui.widgets.exchange import Exchange
from palaver_tui.widgets.prompt import Prompt

if TYPE_CHECKING:
    from palaver_tui.screens.form import Filled


ON_ANSWERS = {
    "again": "generate another one; both stay",
    "compare": "with another turn or model",
    "copy": "to the clipboard",
    "details": "where it came from",
    "edit": "its question: the conversation forks",
    "keep": "as an example of a data set",
    "note": "what you think of it",
    "reference": "give one, which scores it",
    "scores": "how its numbers were computed",
    "tag": "add or take away words",
}
"""What is done with the answer that has the focus, else with the last one."""


class FillScreen(ReferenceScreen):
    """The part of the Chat screen that fills in, edits and copies what is typed."""

    def send(self, typed: str) -> None:
        """Send a text, as enter does."""

    def meant(self, text: str) -> str:
        """The line that a text stands for."""
        return text

    def palette_commands(self) -> Iterable[PaletteCommand]:
        """What the command palette offers in the chat: the tasks' forms, and what can be done with the answer."""
        registry = self.session.registry if self.session is not None else None
        for name, task in registry.tasks().items() if registry is not None else ():
            if name != "chat":
                yield PaletteCommand(f"task: {name}", task.summary(), partial(self.open_form, f"/{name}"))
        there = self.focused if isinstance(self.focused, Exchange) else self.transcript.last
        if there is not None and there.turn_id is not None:
            for what, does in ON_ANSWERS.items():
                yield PaletteCommand(f"answer: {what}", does, partial(there.action_want, what))

    def needs_form(self, line: str) -> bool:
        """Open the form of a task that is not told all it needs; False if it is."""
        from palaver_tui.spelled import unclear

        if self.session is None or not (problem := unclear(line, self.session.registry)):
            return False
        self.open_form(line, problem)
        return True

    def open_form(self, line: str, problem: str = "") -> None:
        """Show what a line gives for its task, and what else can be given."""
        from palaver_tui.screens.form import FormScreen
        from palaver_tui.spelled import spell

        if self.session is None:
            return
        try:
            spelled = spell(line, self.session.registry)
        except PalaverError as error:
            self.show_error(line, error)
            return
        self.app.push_screen(FormScreen(self.session, spelled, problem), self._form_left)

    def _form_left(self, filled: Filled | None) -> None:
        if filled is None:
            return
        self.prompt.put(filled.line)
        self.close_menu()
        if filled.runs:
            self.send(filled.line)
        self.prompt.focus()

    @on(Prompt.PastedMuch)
    def _keep_paste(self, event: Prompt.PastedMuch) -> None:
        """Keep a very long paste in a file, and mention it."""
        from palaver import paths

        folder = paths.private_dir(paths.state_dir() / "pasted")
        handle, name = tempfile.mkstemp(suffix=".txt", dir=folder)  # for the user alone: 0600
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(event.text)
        self.prompt.add(f"@{name} ")
        self.say(f"pasted {len(event.text):,} characters into a file")

    @on(Prompt.EditorWanted)
    def _edit_outside(self) -> None:
        from palaver_tui.editor import edit

        try:
            self.prompt.put(edit(self.app, self.prompt.text))
        except PalaverError as error:
            self.say(f"{error.message} {error.fix}".strip())

    def action_copy_command(self) -> None:
        """Copy the command line of what would run: of the prompt, or of the answer that has the focus."""
        from palaver_tui.spelled import spell

        there = self.focused
        line = there.said if isinstance(there, Exchange) else self.meant(self.prompt.text.strip())
        if self.session is None or not line or slash.split(line)[0]:
            self.say("palaver chat is the command of this screen" if not line else "this is done in the chat only")
            return
        try:
            spelled = spell(line, self.session.registry)
        except PalaverError as error:
            self.say(error.message)
            return
        copy_text(self.app, replace(spelled, model=spelled.model or self.session.model).command)
