"""The History screen over a real history file: find, read, score, rate, delete, export."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.tui.history_app import HistoryApp, press, settled, shown, table, until
from tests.tui.history_rows import HOSTILE, add, fill
from textual.widgets import Input

from palaver.command import parse_line
from palaver.plugins import Plugins
from palaver.registry import Registry
from palaver.session import Session
from palaver.store import Store
from palaver.store.sqlite import connect
from palaver_tui.screens.history import HistoryScreen
from palaver_tui.theme import LIGHT
from palaver_tui.widgets.filter_box import FilterBox
from palaver_tui.widgets.table import Table
from palaver_tui.widgets.turn_detail import TurnDetail


def page(rows: Table, step: int) -> None:
    """Half a dozen screens at once, as a held key asks for them."""
    for _ in range(6):
        rows.action_page(step)


SIZES = [(120, 36), (80, 24), (60, 20)]
REFERENCE = "Der Hund schläft in der Küche."


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "history.db") as opened:
        yield opened


@pytest.fixture
def session(store: Store) -> Iterator[Session]:
    made = Session(Registry(Plugins()), store)
    yield made
    made.close()


@pytest.fixture
def many(tmp_path: Path) -> Iterator[Session]:
    """3,000 scored turns."""
    fill(tmp_path / "many.db", 3000)
    with Store.open(tmp_path / "many.db") as opened:
        yield Session(Registry(Plugins()), opened)


async def test_an_empty_history_says_how_to_get_a_first_row(session: Session) -> None:
    async with HistoryApp(session).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        assert "what you ask in the chat becomes a row here" in " ".join(shown(pilot).split())
        await press(
            pilot, "j", "G", "x", "d", "u", "r", "f", "a", "t", "c", "e", "3", "enter", "y"
        )  # nothing to do it to
        assert "Nothing has been asked yet" in shown(pilot)


@pytest.mark.parametrize("size", SIZES)
async def test_model_and_main_score_never_leave(session: Session, size: tuple[int, int]) -> None:
    turn = add(session.store, REFERENCE, options={"source": "en", "target": "de"})
    session.add_references(turn, [REFERENCE])
    session.store.rate(turn, 4)
    async with HistoryApp(session).run_test(size=size) as pilot:
        await settled(pilot)
        screen = shown(pilot)
        assert "opus-mt-en-de" in screen
        assert "BLEU  100.0" in screen
        # 104 columns: rating and second score; 72: the task.
        assert ("★★★★" in screen.split("input")[0]) == (size[0] >= 104)
        assert ("second" in screen) == (size[0] >= 104)
        assert (" task " in screen) == (size[0] >= 72)
        assert ("translate en→de" in screen) == (size[1] >= 24)  # below, enter leads to the details
        assert "$ palaver history list" in screen.splitlines()[-2]
        await press(pilot, "enter")
        assert "translate en→de" in shown(pilot)
        await press(pilot, "escape")
        assert "main" in shown(pilot)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ["ledger-dark", LIGHT.name])
async def test_hostile_text_is_shown_as_text_in_every_place(
    session: Session, size: tuple[int, int], theme: str
) -> None:
    turn = add(session.store, HOSTILE, task=HOSTILE, model=HOSTILE, text=HOSTILE, options={"target": HOSTILE})
    session.store.add_references(turn, [HOSTILE, "[/]"])
    session.store.note(turn, HOSTILE)
    session.store.tag(turn, HOSTILE)
    add(session.store, "", status="failed", error=HOSTILE)
    app = HistoryApp(session, theme=theme)
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        await press(pilot, "j", "enter", "a")  # the note goes into an input
        await press(pilot, "escape", "escape")
        app.screen.query_one(FilterBox).value = HOSTILE
        await press(pilot, "slash", "enter")
        screen = shown(pilot)
        assert not {"\x1b", "\x07", "\u202e", "\r"} & set(screen)
        assert "[red]x" in screen
        for line in screen.splitlines()[:-1]:
            assert "@click=app.quit]q[/]" in line or "@click=" not in line or line.rstrip().endswith(("…", "'"))
        assert app.is_running


async def test_keys_go_through_all_turns_while_few_are_held(many: Session) -> None:
    async with HistoryApp(many).run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        rows = table(pilot)
        assert rows.cursor == 3000
        await press(pilot, "j", "j", "k", "down")
        assert rows.cursor == 2998  # 3000 - 1 - 1 + 1 - 1
        await press(pilot, "G")
        assert rows.cursor == 1
        await press(pilot, "k", "up")
        assert rows.cursor == 3
        await press(pilot, "g")
        assert rows.cursor == 3000
        while rows.cursor != 1:
            before = rows.cursor
            page(rows, 1)
            await settled(pilot)
            assert rows.cursor is not None and before is not None and rows.cursor < before
            assert len(rows.rows) <= 1000
            held = [row.id for row in rows.rows]
            assert held == list(range(held[0], held[-1] - 1, -1))  # none twice, none left out
        while rows.cursor != 3000:
            before = rows.cursor
            page(rows, -1)
            await settled(pilot)
            assert rows.cursor is not None and before is not None and rows.cursor > before


async def test_keys_typed_while_rows_are_read_count_for_those_rows(many: Session) -> None:
    async with HistoryApp(many).run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await press(pilot, "G", "k", "k")
        assert table(pilot).cursor == 3


async def test_a_filter_narrows_the_rows_and_says_how_many(many: Session) -> None:
    async with HistoryApp(many).run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await press(pilot, "slash", *"model:model-1 bleu<10", "enter")
        # Turn i+1 has model i mod 3 and BLEU i mod 100: of i < 3000, i = 1 mod 3 and i mod 100 < 10. Every 300
        # numbers hold each pair of residues once, so 10 residues x 1 in each of 10 stretches of 300.
        assert "100 of 3,000" in shown(pilot)
        assert {row.cells["model"].text for row in table(pilot).rows} == {"model-1"}
        assert table(pilot).has_focus
        assert "$ palaver history list 'model:model-1 bleu<10'" in shown(pilot)


async def test_the_last_word_may_go_on_until_a_space_ends_it(session: Session) -> None:
    add(session.store, "Katze")
    add(session.store, "Kater")
    async with HistoryApp(session).run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        box = pilot.app.screen.query_one(FilterBox)
        for typed, found, command in (
            ("kat", True, "'kat*'"),
            ("kater", True, "'kater*'"),
            ("kat ", False, "kat"),
            ("task:translate", True, "task:translate"),
            ('"kat"', False, """'"kat"'"""),
        ):
            box.value = typed
            await press(pilot, "slash", "enter")
            assert shown(pilot).splitlines()[-2].strip().endswith(f"$ palaver history list {command}")
            assert ("No turn is like that" in shown(pilot)) == (not found)


async def test_a_wrong_filter_keeps_the_rows_and_says_what_is_wrong(many: Session) -> None:
    async with HistoryApp(many).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "slash", *"model:model-1", "enter")
        before = [row.id for row in table(pilot).rows]
        await press(pilot, "slash", *" since:soon", "enter")
        assert "'since:' needs a time such as 7d" in shown(pilot)
        assert [row.id for row in table(pilot).rows] == before
        assert pilot.app.screen.query_one(FilterBox).has_focus
        await press(pilot, "escape")  # leaves the box, with the last filter that was one
        assert pilot.app.screen.query_one(FilterBox).value == "model:model-1"
        assert "needs a time" not in shown(pilot)
        assert table(pilot).has_focus


async def test_tab_completes_what_a_filter_can_have(session: Session) -> None:
    add(session.store, "x")
    async with HistoryApp(session).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "slash", *"task:tr", "tab", *" -is:f", "tab")
        assert pilot.app.screen.query_one(FilterBox).value == "task:translate -is:failed"


async def test_a_reference_given_here_scores_the_turn_and_marks_the_overlap(session: Session) -> None:
    turn = add(session.store, "Der Hund schläft in der Küche heute Nacht.", options={"target": "de"})
    async with HistoryApp(session).run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        assert "no ref" in shown(pilot)
        await press(pilot, "f", *REFERENCE, "enter")
        await until(pilot, lambda: "scored" in shown(pilot))
        assert [reference.text for reference in session.store.turn(turn).references] == [REFERENCE]
        bleu = session.store.turn(turn).scores[0]
        assert bleu.value is not None
        assert f"BLEU {bleu.value:.1f}" in shown(pilot)  # in the detail
        assert bleu.signature in shown(pilot)
        assert table(pilot).rows[0].cells["main"].number == f"{bleu.value:.1f}"
        detail = pilot.app.screen.query_one(TurnDetail).detail
        assert detail is not None
        # Six words in a row are shared, "heute" and "Nacht" are not.
        assert [(detail.output[one.start : one.end], one.overlap) for one in detail.marks] == [
            ("Der Hund schläft in der Küche", "fourgram"),
            ("heute Nacht", "none"),
        ]
        assert table(pilot).has_focus


async def test_a_reference_that_cannot_be_used_is_refused_where_it_was_typed(session: Session) -> None:
    turn = add(session.store, "Hallo")
    add(session.store, "", status="failed", error="The model broke.")
    async with HistoryApp(session).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        assert "! failed: The model broke." in shown(pilot)
        await press(pilot, "f", *"Hallo", "enter")
        assert "has no answer to score" in shown(pilot)
        await press(pilot, "escape", "j", "f", *"@nothing.txt", "enter")
        assert "There is no file nothing.txt." in shown(pilot)
        assert pilot.app.screen.query_one("#ask", Input).value == "@nothing.txt"
        assert not session.store.turn(turn).references


async def test_ratings_and_notes_are_stored_and_shown(session: Session) -> None:
    turn = add(session.store, "Hallo")
    async with HistoryApp(session).run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await press(pilot, "3", "5")
        assert session.store.turn(turn).rating == 5
        assert "★★★★★" in shown(pilot)
        await press(pilot, "0")
        assert session.store.turn(turn).rating is None
        assert "★" not in shown(pilot)
        await press(pilot, "a", *"good [red]", "enter")
        assert session.store.turn(turn).note == "good [red]"
        assert "good [red]" in shown(pilot)


async def test_delete_can_be_undone_until_the_screen_is_left(session: Session) -> None:
    first, second, third = (add(session.store, text) for text in ("one", "two", "three"))
    app = HistoryApp(session)
    async with app.run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await press(pilot, "j", "d")
        assert [row.id for row in table(pilot).rows] == [third, first]
        assert table(pilot).cursor == first
        assert f"#{second} deleted · u brings it back" in shown(pilot)
        assert session.store.count() == 3  # still there
        await press(pilot, "u")
        assert [row.id for row in table(pilot).rows] == [third, second, first]
        assert table(pilot).cursor == second
        await press(pilot, "g", "x", "x", "d")  # the two marked ones
        assert [row.id for row in table(pilot).rows] == [first]
        await press(pilot, "escape")
        assert not isinstance(app.screen, HistoryScreen)
        assert session.store.ids() == [first]


async def test_export_writes_what_the_filter_finds_and_says_where(many: Session, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    async with HistoryApp(many).run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await press(pilot, "slash", *"bleu<1", "enter", "e")
        pilot.app.screen.query_one("#ask", Input).value = str(target)
        await press(pilot, "enter")
        await until(pilot, lambda: "30 turns exported to" in shown(pilot))  # i mod 100 = 0 for i < 3000
        lines = target.read_text(encoding="utf-8").splitlines()
        assert [json.loads(line)["id"] % 100 for line in lines] == [1] * 30
        await press(pilot, "e")
        pilot.app.screen.query_one("#ask", Input).value = str(target)
        await press(pilot, "enter")
        assert "exists already" in shown(pilot)
        pilot.app.screen.query_one("#ask", Input).value = str(tmp_path / "out.exe")
        await press(pilot, "enter")
        assert ".jsonl, .csv, .md, .txt" in shown(pilot)


async def test_the_command_line_can_be_copied(session: Session) -> None:
    add(session.store, "the cat's")
    app = HistoryApp(session)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "slash", *"cat's is:complete", "enter", "ctrl+t")
        assert app.clipboard == """palaver history list 'cat'"'"'s is:complete'"""
        await press(pilot, "y")
        assert app.clipboard == "the cat's"


async def test_a_turn_is_run_again_with_its_seed_linked_to_it_and_what_has_drifted_is_said(session: Session) -> None:
    before = session.ask(
        parse_line("/summarize -m lead-3 --length 1 One is here. Two is there.", session.registry)
    ).turn
    async with HistoryApp(session).run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await press(pilot, "r")
        await until(pilot, lambda: f"#{before.id} again is #{before.id + 1}: the same answer." in shown(pilot))
        assert "Nothing else has changed." in shown(pilot)
        after = session.store.turn(before.id + 1)
        assert (after.parent_id, after.config, after.output) == (before.id, before.config, before.output)
        with closing(
            connect(session.store.path, write=True)
        ) as db:  # as if an older plugin and other weights had made it
            db.execute("UPDATE turns SET plugin_version = '0.0.1', model_digest = 'old' WHERE id = ?", (before.id,))
            db.commit()
        await press(pilot, "G", "r")
        await until(pilot, lambda: "The task's plugin was summarize 0.0.1 and is" in " ".join(shown(pilot).split()))
        assert f"The weights of lead-3 are not those of #{before.id}." in " ".join(shown(pilot).split())


async def test_what_cannot_be_run_again_says_why(session: Session) -> None:
    add(session.store, "Hallo", task="gone")
    async with HistoryApp(session).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "r")
        assert "There is no task named 'gone'" in shown(pilot)
        assert session.store.count() == 1


async def test_tags_are_added_taken_away_and_found(session: Session) -> None:
    turn = add(session.store, "Hallo")
    add(session.store, "Welt")
    async with HistoryApp(session).run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await press(pilot, "j", "t", *"good odd", "enter")
        assert session.store.turn(turn).tags == ("good", "odd")
        await press(pilot, "t", *"-odd", "enter")
        assert session.store.turn(turn).tags == ("good",)
        await press(pilot, "slash", *"tag:good", "enter")
        assert [row.id for row in table(pilot).rows] == [turn]


async def test_two_marked_turns_are_compared_and_esc_comes_back(session: Session) -> None:
    for name in ("lead-3", "lexrank"):
        session.ask(parse_line(f"/summarize -m {name} --length 1 One is here. Two is there.", session.registry))
    app = HistoryApp(session)
    async with app.run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await press(pilot, "x", "c")
        assert "comparing takes two marked turns, and 1 is marked" in shown(pilot)
        await press(pilot, "x", "c")
        await until(pilot, lambda: "A  lead-3" in shown(pilot) and "B  lexrank" in shown(pilot))
        await press(pilot, "escape")
        assert isinstance(app.screen, HistoryScreen)


async def test_words_that_the_user_came_with_are_the_filter(many: Session) -> None:
    app = HistoryApp(many)
    async with app.run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        assert isinstance(app.screen, HistoryScreen)
        app.screen.arrive("bleu<1")
        await settled(pilot)
        assert "30 of 3,000" in shown(pilot)
        assert table(pilot).has_focus
