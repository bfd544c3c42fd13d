"""A model judges two runs in the Compare screen, as `palaver compare --judge` has it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.tui.history_app import press, settled
from tests.tui.test_compare import SIZES, There, two_runs
from textual.widgets import Input

from palaver import Delta, GenerationConfig, ModelFailed, Request
from palaver.judge import Judge
from palaver.paired import compare_runs
from palaver_tui.screens.compare_runs import CompareRunsScreen
from palaver_tui.screens.judged import JudgeForm

MODELS = ("lead-3", "copy")


def likes_short(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
    """The shorter answer is the better one, wherever it stands."""
    text = request.messages[-1].content
    first, second = (len(text.split(f"[answer {one}]\n")[1].split("\n[end of")[0]) for one in "AB")
    yield Delta("A" if first < second else "B", finish_reason="stop")


async def name_the_judge(there: There, name: str) -> None:
    await press(there.pilot, "J")
    await there.until(lambda: isinstance(there.app.screen, JudgeForm))
    box = there.app.screen.query_one("#judge", Input)
    box.value = name
    await there.pilot.pause()
    assert f"$ palaver compare 1 2 --judge {name}" in there.text()
    await there.pilot.press("enter")
    await there.until(lambda: isinstance(there.app.screen, CompareRunsScreen))


@pytest.mark.parametrize("size", SIZES)
async def test_a_judge_says_of_two_runs_what_the_command_line_says(tmp_path: Path, size: tuple[int, int]) -> None:
    async with two_runs(tmp_path, size=size, script=likes_short, models=MODELS) as there:
        await name_the_judge(there, "scripted")
        await there.until(lambda: "judged by scripted" in there.text())
        await settled(there.pilot)
        registry, store = there.session.registry, there.session.store
        reports, found = compare_runs(registry, store, (1, 2))
        said = Judge(registry, store, "scripted").compare(reports, found.settings, threading.Event())
        assert said is not None and said.asked == 0, "each verdict is in history"
        [pair] = said.pairs
        assert (pair.wins, pair.ties, pair.losses, pair.better) == (9, 0, 0, "lead-3")
        assert "A is better" in next(line for line in there.text().splitlines() if "judged by" in line)
        assert "A 9 · ties 0 · B 0   preference +1.00" in there.text()
        assert "$ palaver compare 1 2 --judge scripted" in there.text()
        await press(there.pilot, "w")
        await there.until(lambda: "A 0 · ties 0 · B 9   preference -1.00" in there.text())
        assert "$ palaver compare 2 1 --judge scripted" in there.text()
        await press(there.pilot, "n")
        assert "judged by" not in there.text(), "hidden with the names"


async def test_escape_stops_the_judge_and_what_it_said_is_not_asked_again(tmp_path: Path) -> None:
    begun, asked = threading.Event(), []

    def slow(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        asked.append(request)
        if len(asked) > 2:
            begun.set()
            cancel.wait()
            yield Delta(finish_reason="cancelled")
        else:
            yield from likes_short(request, config, cancel)

    async with two_runs(tmp_path, script=slow, models=MODELS) as there:
        await name_the_judge(there, "scripted")
        await there.until(begun.is_set)
        assert "verdicts · esc stops" in there.text()
        await press(there.pilot, "escape")
        await there.until(lambda: "the judge was stopped" in there.text())
        assert isinstance(there.app.screen, CompareRunsScreen)
        assert "judged by" not in there.text()
        verdicts = [turn for turn in there.session.store.turns() if "Which one is better?" in turn.input_text]
        assert [turn.status for turn in verdicts] == ["complete"] * 2


async def test_a_judge_that_cannot_be_asked_says_why_and_nothing_is_lost(tmp_path: Path) -> None:
    def broken(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        raise ModelFailed("It broke.")
        yield Delta()

    async with two_runs(tmp_path, script=broken, models=MODELS) as there:
        await name_the_judge(there, "lead-3")
        await there.until(lambda: "lead-3 cannot chat" in there.text())
        await name_the_judge(there, "scripted")
        await there.until(lambda: "scripted gave no verdict: It broke." in there.text())
        await press(there.pilot, "j")
        assert "segment 2 of 9" in there.text()
