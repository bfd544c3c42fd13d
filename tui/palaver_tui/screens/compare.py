"""The Compare screen: one question to two or more models, in a prompt of its own or brought from elsewhere."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.binding import Binding
from textual.widgets import Input

from palaver.errors import PalaverError, UsageError
from palaver_tui.comparing import Comparing, Side, answered
from palaver_tui.entries import PaletteCommand
from palaver_tui.screens import compare_words as words
from palaver_tui.screens.history_words import in_full
from palaver_tui.screens.judge import AskLine, JudgeScreen, distinct
from palaver_tui.spelled import names_in, names_line
from palaver_tui.widgets.filter_box import FilterBox
from palaver_tui.widgets.sides import Sides
from palaver_tui.widgets.text import Text, styled

if TYPE_CHECKING:
    from palaver.session import Session
    from palaver.store import Turn

LABELS = {"prompt": "❯", "models": "models ❯", "reference": "reference ❯"}


class CompareScreen(JudgeScreen):
    """One question, several answers."""

    BINDINGS: ClassVar = [
        Binding("p,slash", "prompt", "prompt", id="compare.prompt"),
        Binding("m", "models", "models", id="compare.models"),
        Binding("r", "reference", "reference", id="compare.reference"),
        Binding("escape", "back", "back", id="compare.back"),
    ]

    def on_mount(self) -> None:
        self._models = self._models or first_models(self._session)
        self._ask_for("prompt")

    def arrive(self, words: str) -> None:
        """Models by name, turns as `#12`, or two evaluations by their numbers."""
        self._arrive(names_in(words))

    def _arrive(self, parts: Sequence[str]) -> None:
        turns = [one for one in parts if one[:1] == "#" and one[1:].isdigit()]
        names = [one for one in parts if one not in turns]
        if not turns and len(names) == 2 and all(one.isdigit() for one in names):
            from palaver_tui.screens.compare_runs import CompareRunsScreen

            self.app.push_screen(CompareRunsScreen(self._session, (int(names[0]), int(names[1]))))
            return
        try:
            for name in names:
                self._session.registry.info(name)
            if turns:
                self._bring([self._session.store.turn(int(one[1:])) for one in turns], names)
            elif names:
                self._models = distinct(names)[: len(words.LETTERS)]
                self._ask_for("prompt")
                self._draw()
        except PalaverError as error:
            self._say(in_full(error), "$error")

    def palette_commands(self) -> Iterable[PaletteCommand]:
        """What can be done here."""
        yield PaletteCommand("compare: models", "which models are asked", self.action_models)
        yield PaletteCommand("compare: vote", "which answer is the better one", self.action_vote)
        yield PaletteCommand("compare: names", "show or hide whose answers these are", self.action_names)
        yield PaletteCommand("compare: reference", "score all answers", self.action_reference)

    # Asking

    def _bring(self, turns: Sequence[Turn], names: Sequence[str]) -> None:
        """Answers of history, beside each other or beside new ones to the same question."""
        self.halt()
        self._question, self._typed = turns[0], turns[0].input_text
        if len(turns) > 1 or names:
            self._compare([answered(one) for one in turns], names, is_known=True)
            if len({tuple(one.inputs.items()) for one in turns}) > 1:
                self._say("these turns were asked different things")
        else:
            self._comparing = Comparing(self._session, [answered(turns[0])])
            self._is_blind = False
            self._ask_for("models", names_line(one for one in self._models if one != turns[0].model))
            self._draw()

    def _compare(self, known: list[Side], names: Sequence[str], *, is_known: bool) -> None:
        """Ask the question of these models too, and show all in an order that says nothing."""
        from palaver.again import question_of

        self.halt()
        sides = list(known)
        if self._question is not None:
            for name in names:
                sides.append(Side(name, question_of(self._session.registry, self._question, model=name)))
        if len(sides) < 2:
            raise UsageError("Comparing takes two models or more.", fix="m chooses them")
        self._models = distinct([side.model for side in sides])
        self._is_blind, self._was_seen, self._verdict, self._is_voting = not is_known, is_known, [], False
        self._begin(sides)

    def _begin(self, sides: list[Side]) -> None:
        if self._is_blind:
            sides = random.sample(sides, len(sides))
        self._comparing = Comparing(self._session, sides)
        self._comparing.start()
        self._say("")
        self.query_one(Sides).focus()
        self._draw()

    def _ask_all(self, line: str) -> None:
        from palaver.command import parse_line

        if len(self._models) < 2:
            raise UsageError("Comparing takes two models or more.", fix="m chooses them")
        ask = parse_line(line, self._session.registry)
        for name in self._models:
            self._session.registry.choose(ask.task.name, name)  # a model that cannot is told before any is asked
        self.halt()
        self._question, self._typed = None, line
        self._is_blind, self._was_seen, self._verdict, self._is_voting = True, False, [], False
        self._begin([Side(name, replace(ask, model=name)) for name in self._models])

    @on(Input.Submitted, "#ask")
    def _submitted(self, event: Input.Submitted) -> None:
        line = event.value.strip()
        if not line:
            return
        try:
            if self._asking == "prompt":
                self._ask_all(line)
                self.query_one(FilterBox).value = ""
            elif self._asking == "models":
                self._choose(names_in(line))
            else:
                self._refer(line)
        except PalaverError as error:  # what was typed stays
            self._say(in_full(error), "$error")

    def _choose(self, names: Sequence[str]) -> None:
        names = distinct(names)
        for name in names:
            self._session.registry.installed(name)
        held = self._comparing.sides if self._comparing is not None else []
        if self._question is not None and len(held) == 1:  # the answer of history waits for others
            self._compare(held, [name for name in names if name != held[0].model], is_known=True)
            self._ask_for("prompt", is_focused=False)
            return
        if len(names) < 2:
            raise UsageError("Comparing takes two models or more.")
        self._models = names[: len(words.LETTERS)]
        self._ask_for("prompt")
        self._draw()

    @work(exclusive=True, group="refer")
    async def _refer(self, text: str) -> None:
        from palaver.command import read_text

        assert self._comparing is not None
        try:
            await asyncio.to_thread(self._comparing.refer, read_text(text))
        except PalaverError as error:
            self._say(in_full(error), "$error")
            return
        self._say("all answers are scored" + (", n shows the scores" if self._is_blind else ""))
        self._ask_for("prompt", is_focused=False)
        self._draw()

    # Keys

    def _ask_for(self, what: words.Asking, value: str = "", *, is_focused: bool = True) -> None:
        self._asking = what
        registry, box = self._session.registry, self.query_one(FilterBox)
        self.query_one("#ask-label", Text).show(styled((LABELS[what], "$accent")))
        if what == "models":
            box.know([info.name for info in registry.models() if registry.is_installed(info)])
        else:
            box.know([f"/{name}" for name in registry.tasks() if name != "chat"])
        box.value = value
        box.cursor_position = len(value)
        (box if is_focused else self.query_one(Sides)).focus()
        self._draw()

    def action_prompt(self) -> None:
        """Ask something else."""
        self._ask_for("prompt")

    @on(AskLine.ModelsWanted)
    def action_models(self) -> None:
        """Choose the models."""
        self._ask_for("models", names_line(self._models))

    def action_reference(self) -> None:
        """Score all answers against a reference."""
        if any(side.state == "done" for side in self._sides) and not self.is_busy:
            self._ask_for("reference")

    def action_back(self) -> None:
        """Stop what runs; leave the vote, then the line, then the screen."""
        if self.is_busy:
            self.halt()
        elif self._is_voting:
            self._is_voting = False
            self._say("")
            self._hint()
        elif self._asking != "prompt":
            self._ask_for("prompt", is_focused=not self._sides)
        elif self.query_one(FilterBox).has_focus and self._sides:
            self.query_one(Sides).focus()
        else:
            self.app.pop_screen()


def first_models(session: Session) -> list[str]:
    """Two models to begin with: those that talk, with a baseline beside a single one; else two baselines."""
    registry = session.registry
    here = [info for info in registry.models() if registry.is_installed(info)]
    talking = [info.name for info in here if "chat" in info.tasks or "*" in info.tasks]
    others = [registry.baseline_for("summarize")]
    others += [info.name for info in here if info.is_baseline and "summarize" in info.good_at]
    return distinct([session.model if session.model in talking else "", *talking, *others])[:2]
