"""The Compare screen: several models on one question, judged blind; two evaluations segment by segment."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.core.scripted import Script, Scripted, ScriptedRegistry, says
from tests.tui.chat_app import Held
from tests.tui.history_app import HistoryApp, press, settled, shown
from tests.tui.history_rows import HOSTILE
from textual.pilot import Pilot
from textual.widgets import Input

from palaver.command import parse_line
from palaver.evaluate import Evaluation
from palaver.paired import compare_runs
from palaver.plans import Wanted, make_plans
from palaver.present import format_value
from palaver.runs import begin
from palaver.session import Session
from palaver.store import Store
from palaver_tui.screens.compare import CompareScreen
from palaver_tui.screens.compare_runs import CompareRunsScreen
from palaver_tui.widgets.footer import Footer, footer_line

SIZES = [(120, 36), (80, 24), (60, 20)]
TEXT = "The old bridge reopened on Monday. It had been closed for two years. Traders lost money. It cost nine million."


class There:
    """A running screen."""

    def __init__(self, pilot: Pilot[None], app: HistoryApp, session: Session) -> None:
        self.pilot, self.app, self.session = pilot, app, session

    def text(self) -> str:
        return shown(self.pilot)

    async def until(self, claim: Callable[[], bool]) -> None:
        for _ in range(2000):
            if claim():
                return
            await asyncio.sleep(0.01)
            await self.pilot.pause()
        raise AssertionError(f"it never came true:\n{self.text()}")

    async def ask(self, line: str) -> None:
        box = self.app.screen.query_one("#ask", Input)
        box.value = line
        box.focus()
        await self.pilot.press("enter")
        screen = self.app.screen
        assert isinstance(screen, CompareScreen)
        await self.until(lambda: not screen.is_busy)
        await settled(self.pilot)

    async def arrive(self, words: str) -> None:
        screen = self.app.screen
        assert isinstance(screen, CompareScreen)
        screen.arrive(words)
        await self.until(lambda: not screen.is_busy)
        await settled(self.pilot)


@asynccontextmanager
async def compare(
    folder: Path, *, size: tuple[int, int] = (120, 36), script: Held | None = None
) -> AsyncIterator[There]:
    with Store.open(folder / "history.db") as store:
        session = Session(ScriptedRegistry(Scripted(script or says("The old bridge reopened."))), store)
        app = HistoryApp(session, kind=CompareScreen)
        async with app.run_test(size=size) as pilot:
            await settled(pilot)
            yield There(pilot, app, session)
        session.close()


@pytest.mark.parametrize("size", SIZES)
async def test_names_scores_and_times_are_hidden_until_the_vote(tmp_path: Path, size: tuple[int, int]) -> None:
    async with compare(tmp_path, size=size) as there:
        await there.arrive("lead-3 scripted")
        await there.ask(f'/summarize "{TEXT}" --length 1 --ref The old bridge reopened.')
        assert "names hidden" in there.text()
        answers = there.text().partition("──")[0]
        for told in ("lead-3", "scripted", "R-1", "n=1", " s ·"):
            assert told not in answers
        await press(there.pilot, "v", "a")
        await there.until(lambda: "▲ your vote" in there.text())
        for told in ("lead-3", "R-1"):
            assert told in there.text()
        [vote] = there.session.store.votes()
        assert vote.is_blind and not vote.is_tie
        assert {vote.winner_model, vote.loser_model} == {"lead-3", "scripted"}
        assert f"A  {vote.winner_model}   ▲ your vote" in there.text()
        lines = there.text().splitlines()
        hints = there.app.screen.query_one(Footer).hints
        assert lines[-1].rstrip() == footer_line(hints, size[0]).plain.rstrip()


async def test_both_answers_are_scored_rows_of_one_run_and_side_by_side_only_where_there_is_room(
    tmp_path: Path,
) -> None:
    async with compare(tmp_path) as there:
        await there.arrive("lead-3 scripted")
        await there.ask(f'/summarize "{TEXT}" --ref The old bridge reopened.')
        turns = list(there.session.store.turns())
        assert {turn.model for turn in turns} == {"lead-3", "scripted"}
        assert len({turn.run_id for turn in turns}) == 1
        assert all(turn.scores and turn.references for turn in turns)
        assert f"$ palaver history list run:{turns[0].run_id}" in there.text()
        await press(there.pilot, "n")
        assert any("A  " in line and "B  " in line for line in there.text().splitlines())
        await there.pilot.resize_terminal(100, 36)
        await settled(there.pilot)
        assert not any("A  " in line and "B  " in line for line in there.text().splitlines())


async def test_a_vote_after_looking_is_not_blind(tmp_path: Path) -> None:
    async with compare(tmp_path) as there:
        await there.arrive("lead-3 scripted")
        await there.ask(f"/summarize {TEXT}")
        await press(there.pilot, "n", "n", "v", "t")  # shown, hidden again, voted: a tie
        await there.until(lambda: bool(there.session.store.votes()))
        [vote] = there.session.store.votes()
        assert not vote.is_blind
        assert vote.is_tie


async def test_a_reference_given_here_scores_all_answers(tmp_path: Path) -> None:
    async with compare(tmp_path) as there:
        await there.arrive("lead-3 scripted")
        await there.ask(f"/summarize {TEXT}")
        await press(there.pilot, "r", *"The old bridge", "enter")
        await there.until(lambda: "all answers are scored" in there.text())
        for turn in there.session.store.turns():
            assert [one.text for one in turn.references] == ["The old bridge"]
            assert turn.scores[0].metric == "rouge1"
        await press(there.pilot, "n")
        assert "R-1" in there.text()
        assert "4 words in a row" in there.text()


async def test_a_mistake_keeps_the_line_and_asks_nobody(tmp_path: Path) -> None:
    async with compare(tmp_path) as there:
        await there.arrive("lead-3 scripted")
        await there.ask("What is a palaver?")  # lead-3 cannot chat
        assert "lead-3 cannot chat" in there.text()
        assert there.app.screen.query_one("#ask", Input).value == "What is a palaver?"
        await there.ask("/sumarize x")
        assert "Did you mean" in there.text()
        await there.arrive("lead-4 scripted")
        assert "There is no model named 'lead-4'" in there.text()
        assert there.session.store.count() == 0


async def test_escape_stops_and_keeps_what_was_written(tmp_path: Path) -> None:
    held = Held("Half an ", "answer")
    async with compare(tmp_path, script=held) as there:
        await there.arrive("scripted lead-3")
        box = there.app.screen.query_one("#ask", Input)
        box.value = f"/summarize {TEXT}"
        box.focus()
        await there.pilot.press("enter")
        await there.until(held.is_waiting.is_set)
        await there.until(lambda: "Half an answer" in there.text())
        await there.pilot.press("escape")
        screen = there.app.screen
        assert isinstance(screen, CompareScreen)
        await there.until(lambda: not screen.is_busy)
        stopped = [turn for turn in there.session.store.turns() if turn.model == "scripted"]
        assert [(turn.status, turn.output) for turn in stopped] == [("cancelled", "Half an answer")]


async def test_a_turn_of_history_is_asked_of_another_model_with_the_same_question(tmp_path: Path) -> None:
    async with compare(tmp_path) as there:
        session = there.session
        before = session.ask(parse_line(f"/summarize -m lead-3 --length 1 {TEXT}", session.registry)).turn
        session.add_references(before.id, ["The old bridge reopened."])
        await there.arrive(f"#{before.id}")
        box = there.app.screen.query_one("#ask", Input)
        assert "lead-3" in there.text()
        box.value = "lexrank"
        await there.pilot.press("enter")
        await there.until(lambda: session.store.count() == 2)
        await there.until(lambda: "B  lexrank" in there.text())
        after = list(session.store.turns())[-1]
        assert (after.parent_id, after.model, after.inputs) == (before.id, "lexrank", before.inputs)
        assert [one.text for one in after.references] == ["The old bridge reopened."]


async def test_two_turns_of_history_stand_side_by_side_and_different_questions_are_said(tmp_path: Path) -> None:
    async with compare(tmp_path) as there:
        session = there.session
        turns = [
            session.ask(parse_line(f"/summarize -m {model} {text}", session.registry)).turn
            for model, text in (("lead-3", TEXT), ("lexrank", TEXT), ("lexrank", "Another one."))
        ]
        await there.arrive(f"#{turns[0].id} #{turns[1].id}")
        assert "A  lead-3" in there.text() and "B  lexrank" in there.text()
        assert "different things" not in there.text()
        await there.arrive(f"#{turns[0].id} #{turns[2].id}")
        assert "these turns were asked different things" in there.text()
        await there.arrive("#99")
        assert "There is no turn #99" in there.text()


async def test_hostile_answers_are_shown_as_text(tmp_path: Path) -> None:
    async with compare(tmp_path) as there:
        session = there.session
        for model in ("lead-3", "lexrank"):
            session.ask(parse_line(f"/summarize -m {model} {HOSTILE} {TEXT}", session.registry))
        session.add_references(1, [HOSTILE])
        await there.arrive("#1 #2")
        assert not {"\x1b", "\x07", "\u202e", "\r"} & set(there.text())
        assert "[red]x" in there.text()


# -- two runs


def evaluated(session: Session, folder: Path, models: tuple[str, ...]) -> tuple[int, int]:
    rows = [
        {
            "id": f"e{n}",
            "text": f"Ship {n} left at dawn. Rain fell on {n} towns. The crew of ship {n} slept.",
            "summary": f"Rain fell on {n} towns." if n % 3 else f"Ship {n} left at dawn.",
        }
        for n in range(9)
    ]
    path = folder / "ships.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    wanted = Wanted(task="summarize", dataset=str(path), models=models, options={"length": "1"})
    dataset, plans = make_plans(session.registry, session.store, wanted)
    runs = [begin(session.store, plan) for plan in plans]
    for run in runs:
        Evaluation(session.registry, session.store, run, dataset).run(threading.Event())
    return runs[0], runs[1]


@asynccontextmanager
async def two_runs(
    folder: Path,
    *,
    size: tuple[int, int] = (120, 36),
    script: Script | None = None,
    models: tuple[str, str] = ("lead-3", "lexrank"),
) -> AsyncIterator[There]:
    with Store.open(folder / "history.db") as store:
        session = Session(ScriptedRegistry(Scripted(script or says("ok"))), store)
        runs = evaluated(session, folder, models)
        app = HistoryApp(session, kind=lambda given: CompareRunsScreen(given, runs))
        async with app.run_test(size=size) as pilot:
            await settled(pilot)
            there = There(pilot, app, session)
            await there.until(lambda: "segment 1 of 9" in there.text())
            await settled(pilot)
            yield there


@pytest.mark.parametrize("size", SIZES)
async def test_the_whole_set_says_difference_interval_p_and_who_is_better(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with two_runs(tmp_path, size=size) as there:
        _, found = compare_runs(there.session.registry, there.session.store, (1, 2))
        pair = found.pair("rouge1", "lead-3", "lexrank")
        verdict = (
            ("A is better" if pair.better == "lead-3" else "B is better") if pair.better else "not distinguishable"
        )
        line = next(line for line in there.text().splitlines() if line.startswith(" R-1"))
        assert verdict in line
        assert format_value("rouge1", abs(pair.difference)) in line
        if size[0] >= 80:
            assert f"{pair.p_holm:.3f}" in line or "<0.001" in line
            assert f"wins / ties / losses   {pair.wins} / {pair.ties} / {pair.losses}" in there.text()
            assert "approximate randomization, 10,000 trials, seed 12345" in there.text()
            assert " n=9" in there.text()
        assert "$ palaver compare 1 2" in there.text()
        lines = there.text().splitlines()
        hints = there.app.screen.query_one(Footer).hints
        assert lines[-1].rstrip() == footer_line(hints, size[0]).plain.rstrip()


async def test_segments_that_differ_most_come_first_and_o_changes_the_order(tmp_path: Path) -> None:
    async with two_runs(tmp_path) as there:
        screen = there.app.screen
        assert isinstance(screen, CompareRunsScreen)
        gaps = [abs(one.gap("rouge1")) for one in screen._segments]
        assert gaps == sorted(gaps, reverse=True)
        await press(there.pilot, "j", "j", "k")
        assert "segment 2 of 9" in there.text()
        await press(there.pilot, "o")
        gaps = [one.gap("rouge1") for one in screen._segments]
        assert gaps == sorted(gaps)
        assert "sorted by A worse in R-1" in there.text()
        await press(there.pilot, "t", "G")
        assert "sorted by A worse in R-2" in there.text()
        assert "segment 9 of 9" in there.text()


async def test_w_swaps_the_runs_and_their_differences(tmp_path: Path) -> None:
    async with two_runs(tmp_path) as there:
        before = next(line for line in there.text().splitlines() if line.startswith(" chrF"))
        await press(there.pilot, "w")
        await there.until(lambda: "$ palaver compare 2 1" in there.text())
        await there.until(lambda: "A  lexrank" in there.text())
        after = next(line for line in there.text().splitlines() if line.startswith(" chrF"))
        assert before.split()[1:3] == after.split()[1:3][::-1]


async def test_a_blind_vote_on_a_segment_hides_totals_and_then_tells_whose_it_was(tmp_path: Path) -> None:
    async with two_runs(tmp_path) as there:
        await press(there.pilot, "n", "j")  # a segment that was not seen with names
        for told in ("lead-3", "lexrank", "R-1 ", "not distinguishable"):
            assert told not in there.text().replace("difference in R-1", "")
        await press(there.pilot, "v", "a")
        await there.until(lambda: "▲ your vote" in there.text())
        [vote] = there.session.store.votes()
        assert vote.is_blind
        assert f"A  {vote.winner_model}   ▲ your vote" in there.text()
        await press(there.pilot, "k", "v", "b")  # this one was seen before
        await there.until(lambda: len(there.session.store.votes()) == 2)
        assert not there.session.store.votes()[0].is_blind
