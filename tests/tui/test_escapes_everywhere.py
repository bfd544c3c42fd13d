"""Every screen and every text entry, full of what a terminal would obey and of markup: all of it is only shown."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.tui.every_screen import KEYS, VISITS, opened, seen, settled, visit, world
from tests.tui.run_files import ALARM, BEGUN, ENDED, RISING, SAMPLED, write
from tests.tui.test_escapes import MARKUP, OBEYED, SEQUENCES, without_doors, without_guard
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from palaver import Delta, GenerationConfig, ModelFailed, Request
from palaver.evaluate import Evaluation
from palaver.example import Example
from palaver.plans import Wanted, make_plans
from palaver.plugins import Found, Plugin
from palaver.runs import begin
from palaver.session import Ask, Session
from palaver.task import Chat
from palaver_tui.screens import plugins

ALL = (*SEQUENCES, *MARKUP)
LINES = [" ".join(ALL[at : at + 7]) for at in range(0, len(ALL), 7)]
"""A few at a time, so that a line holds them."""
OPENED_BY = {
    "history": ("slash", "r", "a", "e"),
    "models": ("slash", "f"),
    "plugins": ("slash", "i"),
    "evaluate": ("n",),
    "train": ("n",),
    "compare": ("m",),
}
"""Keys that open an entry on a screen."""


def answers(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
    """What it was asked, or an error that says it."""
    text = request.example.inputs["text"]
    if "fail" in text:
        raise ModelFailed(text, fix=text)
    yield Delta(text)
    yield Delta(finish_reason="stop")


def fill(session: Session, folder: Path, patch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Turns, models, plugins and evaluations whose every text is one of them."""
    registry, store = session.registry, session.store
    registry.tasks()
    info = registry.info("scripted")
    for line in LINES:
        registry._models[line] = dataclasses.replace(
            info, name=line, title=line, description=line, licence=line, tasks=(line,), good_at=()
        )
        for text in (line, f"fail {line}"):
            turn = session.ask(Ask(Chat(), Example({"text": text}, (line,)), model="scripted", typed=text)).turn
            store.note(turn.id, line)
            store.tag(turn.id, line.replace(" ", ""))
    found = [Found(line, line, line, line) for line in LINES]
    broken = [Plugin(one, "broken", one.name, 0.1, (f"task {one.name}: {one.name}",)) for one in found]
    patch.setattr(plugins, "look", lambda off: broken)
    rows = [{"id": f"{at} {line}", "text": line, "summary": line} for at, line in enumerate(LINES)]
    (folder / "evil.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    wanted = Wanted(task="summarize", dataset="evil.jsonl", models=("lead-3", "scripted"), options={})
    dataset, plans = make_plans(registry, store, wanted)
    runs = [begin(store, plan) for plan in plans]
    for run in runs:
        Evaluation(registry, store, run, dataset).run(threading.Event())
    begun, sampled = BEGUN | {"architecture": LINES[0]}, SAMPLED | {"samples": [[line, line] for line in LINES]}
    write(folder / "run", begun, *RISING, ALARM, sampled, ENDED | {"reason": LINES[0]})
    write(folder / LINES[0].replace("/", "").replace("\0", "")[:60], begun, *RISING)
    session.forget()
    return runs[0], runs[1]


def check(pilot: Pilot[None], where: object) -> None:
    text = "".join(seen(pilot.app).rows)  # type: ignore[arg-type]
    assert not OBEYED.search(text), where
    assert pilot.app.is_running, where


@pytest.mark.parametrize("missing", [without_guard, without_doors])
async def test_no_screen_obeys_what_history_models_plugins_and_data_say(
    tmp_path: Path, missing: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either defence alone is enough: the doors where a text enters a widget, and the guard of every line."""
    with world(tmp_path, answers) as (app, session):
        runs = fill(session, tmp_path, monkeypatch)
        missing(monkeypatch)
        async with app.run_test(size=(120, 90)) as pilot:
            await opened(pilot)
            for view in (*VISITS, *KEYS):
                await visit(pilot, view, runs)
                check(pilot, view)
                for key in ("down", "down", "enter", "escape"):  # through some rows, into one in full, and back
                    await pilot.press(key)
                    await settled(pilot)
                    check(pilot, (view, key))
            shown = "\n".join(seen(app).rows)
            assert shown


async def test_no_text_entry_obeys_what_is_typed_or_pasted_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard is off: the entries themselves keep it out."""
    without_guard(monkeypatch)
    met: set[str] = set()
    with world(tmp_path, answers) as (app, session):
        runs = fill(session, tmp_path, monkeypatch)
        async with app.run_test(size=(120, 36)) as pilot:
            await opened(pilot)
            for view in VISITS:
                for key in ("", *OPENED_BY.get(view, ())):
                    await visit(pilot, view, runs)
                    if key:
                        await pilot.press(key)
                        await settled(pilot)
                    for entry in [*app.screen.query(Input), *app.screen.query(TextArea)]:
                        name = f"{view} {entry.id}"
                        if entry.region.area and name not in met and isinstance(entry, Input | TextArea):
                            met.add(name)
                            await _try(pilot, entry)
                    await pilot.press("escape", "escape")
    assert {"chat prompt", "history filter", "history ask", "models filter", "plugins ask"} <= met
    assert len(met) >= 12, met


async def _try(pilot: Pilot[None], entry: Input | TextArea) -> None:
    """Put each line into an entry, as typing and pasting do; a TextArea's own code may set its text as it likes."""
    for line in LINES:
        if isinstance(entry, TextArea):
            entry.text = ""
            entry.post_message(events.Paste(line))
        else:
            entry.value = line
        await pilot.pause()
        check(pilot, (entry.id, line))
        assert not OBEYED.search(entry.text if isinstance(entry, TextArea) else entry.value), (entry.id, line)
