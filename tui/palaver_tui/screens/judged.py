"""A model as the judge of two runs: which one is asked, and what it says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.content import Content
from textual.suggester import Suggester
from textual.widgets import Input

from palaver.choice import can
from palaver.terminal import clip, safe_line
from palaver_tui.screens.command_form import CommandForm, Words, bindings
from palaver_tui.widgets.text import styled

if TYPE_CHECKING:
    from palaver.judge import JudgedPair, Judgement
    from palaver.session import Session


class JudgeForm(CommandForm[str | None]):
    """Closes with the name of a model, or with nothing."""

    HEAD = ("Compare", "a model as the judge")
    MEANT: ClassVar = {"judge": "a model that can chat; it sees each pair in both orders, and what it says is kept"}
    BINDINGS: ClassVar = bindings("judge_form")

    def __init__(self, session: Session, runs: Sequence[int], values: dict[str, str]) -> None:
        super().__init__(values)
        self._runs = runs
        registry = session.registry
        here = (info for info in registry.models() if registry.is_installed(info) and not info.is_baseline)
        self._names = [info.name for info in here if can(info, "chat")]

    @property
    def command(self) -> str:
        """The command line that asks the same."""
        return command_of(self._runs, self.values["judge"].strip())

    def offers(self, field: str) -> Suggester | None:
        """The models that are here and can chat."""
        return Words(self._names)

    def first(self) -> str:
        """The only field."""
        return "judge"

    def look(self) -> None:
        """Say who could be asked, and the command line."""
        named = ", ".join(self._names[:6]) or "none; palaver models pull smollm2 fetches one"
        self.say(f"models that are here and can chat: {named}", "$muted")
        self.show_command()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        if name := self.values["judge"].strip():
            self.dismiss(name)
        else:
            self.say("! a model is needed", "$error")


def command_of(runs: Sequence[int], judge: str) -> str:
    """The command line that compares the runs, with a judge where there is one."""
    return f"palaver compare {' '.join(map(str, runs))}" + (f" --judge {judge}" if judge else "")


def judged_text(found: Judgement, width: int) -> Content:
    """What the judge says of A and B: how often which was better, whether it can be told apart, what that rests on."""
    pair = found.pairs[0]
    span = f" [{pair.interval.low:+.2f}, {pair.interval.high:+.2f}]" if pair.interval is not None else ""
    p = "<0.001" if pair.p_holm < 0.001 else f"{pair.p_holm:.3f}"
    name = safe_line(found.model)
    told = f"A {pair.wins} · ties {pair.ties} · B {pair.losses}   preference {pair.preference:+.2f}{span}   p {p}"
    verdict = "not distinguishable"
    if pair.better:
        verdict = f"{'A' if pair.better == pair.first else 'B'} is better"
    style = "$better" if pair.better == pair.first else "$worse" if pair.better else "$muted"
    lines = [styled(" judged by ", (name, "bold"), f"   {told}   ", (verdict, style))]
    if len(lines[0].plain) > width:
        lines = [styled(" judged by ", (name, "bold"), "   ", (verdict, style)), styled(clip(f" {told}", width))]
    return Content("\n").join([*lines, *(styled((clip(f" {one}", width), "$muted")) for one in _rests_on(found, pair))])


def _rests_on(found: Judgement, pair: JudgedPair) -> list[str]:
    said = f"n={pair.n:,} · {found.asked:,} verdicts asked, {found.cached:,} from history"
    if pair.order_share is not None:
        said += f" · the order decided {pair.order_share:.0%}, which count as ties"
    if left := pair.unreadable + pair.failed:
        said += f" · left out: {left:,} without a verdict"
    return [said, *(safe_line(one) for one in found.warnings[:1])]


def turned(found: Judgement) -> Judgement:
    """The same with A and B the other way round."""
    pair = found.pairs[0]
    span = pair.interval
    other = replace(
        pair,
        first=pair.second,
        second=pair.first,
        wins=pair.losses,
        losses=pair.wins,
        preference=-pair.preference,
        interval=replace(span, low=-span.high, high=-span.low) if span is not None else None,
    )
    return replace(found, pairs=(other,))
