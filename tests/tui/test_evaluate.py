"""The Evaluate screen over a real history: begin, watch, pause, go on, stop, look at what there was."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.core.scripted import Scripted, ScriptedRegistry
from tests.tui.chat_app import Held, chat
from tests.tui.history_app import HistoryApp, press, settled, shown
from tests.tui.history_rows import HOSTILE
from textual.pilot import Pilot
from textual.widgets import Input

from palaver.model import Delta, GenerationConfig, Request
from palaver.runs import report
from palaver.session import Session
from palaver.store import Store
from palaver_tui.screens.compare_runs import CompareRunsScreen
from palaver_tui.screens.evaluate import EvaluateScreen
from palaver_tui.screens.evaluate_form import EvaluateForm
from palaver_tui.widgets.footer import Footer, footer_line

SIZES = [(120, 36), (80, 24), (60, 20)]
ROWS = 8


class Gate:
    """A script that answers at once until it is shut, then waits; it breaks at every text with `broken` in it."""

    def __init__(self) -> None:
        self.open_for = 10_000
        self.asked: list[str] = []
        self.is_waiting = threading.Event()

    def __call__(self, request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        text = request.example["text"]
        if len(self.asked) >= self.open_for:
            self.is_waiting.set()
            cancel.wait(20)
            yield Delta(finish_reason="cancelled")
            return
        self.asked.append(text)
        if "broken" in text:
            yield Delta(finish_reason="error", error="input longer than 512 tokens")
            return
        yield Delta(" ".join(text.split()[:5]))
        yield Delta(finish_reason="stop", output_tokens=5)


class Screen:
    """A running Evaluate screen."""

    def __init__(self, pilot: Pilot[None], session: Session, gate: Gate, data: Path) -> None:
        self.pilot, self.session, self.gate, self.data = pilot, session, gate, data

    def text(self) -> str:
        return shown(self.pilot)

    async def until(self, claim: Callable[[], bool]) -> None:
        for _ in range(2000):
            if claim():
                return
            await asyncio.sleep(0.01)
            await self.pilot.pause()
        raise AssertionError(f"it never came true:\n{self.text()}")

    async def fill(self, **values: str) -> None:
        """Open the form and put values into it."""
        await press(self.pilot, "n")
        form = self.pilot.app.screen
        assert isinstance(form, EvaluateForm)
        for name, value in {"dataset": str(self.data), "options": "length=1", **values}.items():
            form.query_one(f"#{name}", Input).value = value
        await settled(self.pilot)

    async def begin(self, models: str = "lead-3 lexrank", **values: str) -> None:
        await self.fill(models=models, **values)
        await self.pilot.press("enter")
        await self.until(lambda: "seg/s" in self.text() or " err " in self.text())


def write(path: Path, *, broken: int = 0, names: str = "e") -> Path:
    rows = [
        {
            "id": f"{names}{n}",
            "text": f"Ship {n} left at dawn{' broken' * (n < broken)}. Rain fell on {n} towns. The crew slept.",
            "summary": f"Rain fell on {n} towns." if n % 2 else f"Ship {n} left at dawn.",
        }
        for n in range(ROWS)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@asynccontextmanager
async def screen(
    folder: Path, *, size: tuple[int, int] = (120, 36), broken: int = 0, names: str = "e"
) -> AsyncIterator[Screen]:
    gate = Gate()
    with Store.open(folder / "history.db") as store:
        session = Session(ScriptedRegistry(Scripted(gate)), store)
        app = HistoryApp(session, kind=EvaluateScreen)
        async with app.run_test(size=size) as pilot:
            await settled(pilot)
            yield Screen(pilot, session, gate, write(folder / "ships.jsonl", broken=broken, names=names))
        session.close()


@pytest.mark.parametrize("size", SIZES)
async def test_an_empty_list_says_how_to_begin(tmp_path: Path, size: tuple[int, int]) -> None:
    async with screen(tmp_path, size=size) as there:
        assert "Nothing has been evaluated yet. n begins" in " ".join(there.text().split())
        await press(there.pilot, "space", "s", "c", "enter", "j", "k")  # nothing to do it to
        assert there.pilot.app.is_running


async def test_an_evaluation_begun_here_is_the_one_that_palaver_eval_makes(tmp_path: Path) -> None:
    async with screen(tmp_path) as there:
        await there.begin()
        await there.until(lambda: "not distinguishable" in there.text() or "is better" in there.text())
        found = [report(there.session.registry, there.session.store, run) for run in (1, 2)]
        assert [one.model for one in found] == ["lead-3", "lexrank"]
        assert all(one.is_complete and one.plan.options == {"length": 1} for one in found)
        for one in found:
            score = one.scores[0].score.value
            assert score is not None
            assert f"{100 * score:.1f} ±" in there.text()
        assert f"{ROWS}/{ROWS}" in there.text()
        assert f"paired on {ROWS} shared rows: lead-3 − lexrank" in there.text()
        assert "$ palaver compare 1 2" in there.text()
        await press(there.pilot, "escape")
        assert "2 evaluations" in there.text()
        await press(there.pilot, "enter")  # a row opens what was begun together
        await there.until(lambda: "runs 1–2" in there.text())


async def test_a_mistake_stays_in_the_form_and_nothing_is_begun(tmp_path: Path) -> None:
    async with screen(tmp_path) as there:
        await there.fill(models="lead-4")
        await press(there.pilot, "enter")
        assert "! There is no model named 'lead-4'" in there.text()
        form = there.pilot.app.screen
        form.query_one("#models", Input).value = "lead-3"
        form.query_one("#options", Input).value = "length"
        await press(there.pilot, "enter")
        assert "An option is KEY=VALUE" in there.text()
        await press(there.pilot, "escape", "n")  # what was typed is there again
        assert there.pilot.app.screen.query_one("#models", Input).value == "lead-3"
        assert there.session.store.runs() == []


async def test_the_form_says_what_it_would_begin_and_its_command_line(tmp_path: Path) -> None:
    async with screen(tmp_path) as there:
        await there.fill(models="lead-3 lexrank", limit="5")
        await there.until(lambda: "5 examples of 8 · text ← text, references ← summary" in there.text())
        assert f"$ palaver eval summarize {there.data} -m lead-3 -m lexrank -o length=1 --limit 5" in "".join(
            line.strip() + " " * (len(line) == 120) for line in there.text().splitlines()
        ).replace("  ", " ")


async def test_tab_completes_a_model_and_a_path(tmp_path: Path) -> None:
    async with screen(tmp_path) as there:
        await there.fill(dataset=str(tmp_path / "sh"), models="lexrank")
        form = there.pilot.app.screen
        field = form.query_one("#dataset", Input)
        field.focus()
        await press(there.pilot, "end", "tab")
        assert field.value == str(there.data)
        field = form.query_one("#models", Input)
        field.focus()
        await press(there.pilot, "end", "space", *"lead", "tab")
        assert field.value == "lexrank lead-3"
        await press(there.pilot, "tab")
        assert form.focused is form.query_one("#options", Input)


async def test_failed_answers_are_counted_apart_and_shown(tmp_path: Path) -> None:
    async with screen(tmp_path, broken=2) as there:
        await there.begin("scripted")
        await there.until(lambda: "done" in there.text().partition("left")[2])
        line = next(line for line in there.text().splitlines() if line.startswith("    scripted"))
        assert f"{ROWS - 2}/{ROWS}" in line  # the bar and the count are of answered rows only
        assert line.split("━ ")[-1].split()[0] == "2"
        assert "input longer than 512 tokens" in there.text()


async def test_a_pause_keeps_what_is_there_and_going_on_asks_only_for_the_rest(tmp_path: Path) -> None:
    async with screen(tmp_path) as there:
        there.gate.open_for = 3
        await there.begin("lead-3 scripted")
        await there.until(there.gate.is_waiting.is_set)
        await there.until(lambda: f"3/{ROWS}" in there.text())
        # Scored while the model is silent; three shared rows are too few for a winner.
        await there.until(lambda: "paired on 3 shared rows" in there.text())
        assert "no winner yet" in there.text()
        await there.pilot.press("space")
        await there.until(lambda: "paused · what is there is kept" in there.text())
        assert len(there.session.store.run_turns(2)) == 3
        assert "$ palaver eval --resume 2" in there.text()
        there.gate.open_for = 10_000
        await there.pilot.press("space")
        await there.until(lambda: "$ palaver compare 1 2" in there.text())
        assert len(set(there.gate.asked)) == len(there.gate.asked) == ROWS


async def test_escape_leaves_it_running_and_s_stops_it(tmp_path: Path) -> None:
    async with screen(tmp_path) as there:
        there.gate.open_for = 2
        await there.begin("scripted")
        await there.until(there.gate.is_waiting.is_set)
        await press(there.pilot, "escape")
        app_screen = there.pilot.app.screen
        assert isinstance(app_screen, EvaluateScreen)
        assert app_screen.is_busy
        await press(there.pilot, "n")
        assert "one evaluation at a time" in there.text()
        await press(there.pilot, "enter")  # the list's row shows it live again
        await there.until(lambda: "s stop and keep" in there.text())
        await there.pilot.press("s")
        await there.until(lambda: "stopped · what is there is kept" in there.text())
        assert not app_screen.is_busy
        assert len(there.session.store.run_turns(1)) == 2


async def test_leaving_the_app_stops_the_run_and_keeps_what_it_has(tmp_path: Path) -> None:
    async with screen(tmp_path) as there:
        there.gate.open_for = 2
        await there.begin("scripted")
        await there.until(there.gate.is_waiting.is_set)
    with Store.open(tmp_path / "history.db") as store:
        assert len(store.run_turns(1)) == 2
        assert not store.run(1).finished


async def test_enter_shows_the_examples_of_the_chosen_model_and_c_compares(tmp_path: Path) -> None:
    async with screen(tmp_path) as there:
        await there.begin()
        await there.until(lambda: "$ palaver compare 1 2" in there.text())
        await press(there.pilot, "j", "enter", "k", "enter", "c")
        app = there.pilot.app
        assert isinstance(app, HistoryApp)
        assert len({words for place, words in app.gone if place == "History"}) == 2
        assert {words for place, words in app.gone if place == "History"} == {"run:1", "run:2"}
        assert isinstance(app.screen, CompareRunsScreen)
        await press(there.pilot, "escape")
        assert isinstance(app.screen, EvaluateScreen)


@pytest.mark.parametrize("size", SIZES)
async def test_model_and_main_score_never_leave_and_no_key_is_cut(tmp_path: Path, size: tuple[int, int]) -> None:
    async with screen(tmp_path, size=size) as there:
        await there.begin()
        await there.until(lambda: "$ palaver compare 1 2" in there.text())
        for part in ("lead-3", "lexrank", "R-1", "±", "95 %"):
            assert part in there.text()
        lines = there.text().splitlines()
        assert all(len(line) <= size[0] for line in lines)
        hints = there.pilot.app.screen.query_one(Footer).hints
        assert lines[-1].rstrip() == footer_line(hints, size[0]).plain.rstrip()


async def test_hostile_names_and_texts_are_shown_as_text(tmp_path: Path) -> None:
    async with screen(tmp_path, names=HOSTILE[:40]) as there:
        await there.begin("lead-3")
        await there.until(lambda: "poorest" in there.text())
        assert not {"\x1b", "\x07", "\u202e", "\r"} & set(there.text())
        await press(there.pilot, "escape", "n")
        there.pilot.app.screen.query_one("#dataset", Input).value = HOSTILE
        await press(there.pilot, "enter")
        assert "There is no file" in there.text() or "!" in there.text()
        assert not {"\x1b", "\x07", "\u202e", "\r"} & set(there.text())


async def test_words_of_the_chat_fill_the_form_ctrl_q_asks_and_ctrl_c_stops(tmp_path: Path) -> None:
    held = Held("Half")
    data = write(tmp_path / "ships.jsonl")
    async with chat(tmp_path, held, size=(120, 36)) as talk:
        await talk.send(f"/evaluate summarize {data} lead-3 scripted")
        await talk.until(lambda: isinstance(talk.app.screen, EvaluateForm))
        await talk.pilot.press("enter")
        await talk.until(held.is_waiting.is_set)
        await talk.until(lambda: "8/8" in talk.shown())
        await talk.pilot.press("ctrl+q")
        await talk.until(lambda: "something is still running" in talk.shown())
        assert talk.app.is_running
        await talk.pilot.press("ctrl+c")
        await talk.until(lambda: "stopped · what is there is kept" in talk.shown())
        assert talk.app.is_running
