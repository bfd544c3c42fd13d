"""Keys that terminals do not send are not bound, text is readable in both themes, and no hint is ever cut."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.core.scripted import says
from tests.tui.chat_app import Chat, chat
from textual.color import Color
from textual.dom import DOMNode
from textual.theme import Theme

from palaver_tui import slash
from palaver_tui.app import PalaverApp
from palaver_tui.entries import Entry
from palaver_tui.places import PLACES
from palaver_tui.screens import compare_words, evaluate_words, whole_set
from palaver_tui.screens.chat import CHOOSING, TYPING, WRITING, ChatScreen
from palaver_tui.screens.compare import CompareScreen
from palaver_tui.screens.compare_runs import CompareRunsScreen
from palaver_tui.screens.evaluate import EvaluateScreen
from palaver_tui.screens.evaluate_form import EvaluateForm
from palaver_tui.screens.form import FormScreen
from palaver_tui.screens.goto import goto_text
from palaver_tui.screens.help import HelpScreen
from palaver_tui.screens.history import HistoryScreen
from palaver_tui.screens.history_words import HINTS
from palaver_tui.screens.place import PlaceScreen
from palaver_tui.screens.turns import ONE_OF_SEVERAL, READING
from palaver_tui.theme import THEMES
from palaver_tui.widgets.exchange import Exchange
from palaver_tui.widgets.footer import MOST, Hint, fitting, footer_line
from palaver_tui.widgets.form import Box
from palaver_tui.widgets.header import Header, header_line
from palaver_tui.widgets.prompt import Prompt

FORBIDDEN = {
    "ctrl+h", "ctrl+i", "ctrl+m", "ctrl+left_square_bracket", "ctrl+tab", "ctrl+enter", "alt+enter", "f10", "f11",
    *(f"alt+{digit}" for digit in range(10)),
}  # fmt: skip
ALL_HINTS = {
    "typing": TYPING,
    "writing": WRITING,
    "choosing": CHOOSING,
    "reading": READING,
    "several": ONE_OF_SEVERAL,
    "history": HINTS,
    "evaluations": evaluate_words.LIST_HINTS,
    "evaluation": evaluate_words.OPEN_HINTS,
    "evaluating": evaluate_words.RUNNING_HINTS,
    "compare prompt": compare_words.PROMPT_HINTS,
    "compare": compare_words.READY_HINTS,
    "comparing": compare_words.RUNNING_HINTS,
    "runs": whole_set.NAMED,
    "runs blind": whole_set.HIDDEN,
    "voting": whole_set.VOTING,
}
SCREENS = [CompareScreen, CompareRunsScreen, EvaluateScreen, EvaluateForm, HistoryScreen]


@pytest.mark.parametrize("owner", [PalaverApp, ChatScreen, Prompt, Exchange, HelpScreen, FormScreen, Box, *SCREENS])
def test_no_forbidden_key_is_bound(owner: type[PalaverApp | DOMNode]) -> None:
    keys = {key for binding in owner.BINDINGS for key in binding.key.split(",")}
    assert keys.isdisjoint(FORBIDDEN)
    # What TextArea has for editing stays as it is.
    assert keys.isdisjoint({f"ctrl+{letter}" for letter in "aekuwxyz"})


async def test_escape_never_quits(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok")) as talk:
        await talk.pilot.press(*["escape"] * 5)
        assert talk.app.is_running


async def test_ctrl_c_asks_before_it_quits_and_ctrl_q_does_not(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok")) as talk:
        await talk.pilot.press("ctrl+c")
        await talk.pilot.pause()
        assert "press ctrl+c again to quit" in talk.shown()
        assert talk.app.is_running
        await talk.pilot.press("ctrl+q")
        assert talk.app._exit


async def test_ctrl_g_h_goes_to_the_history_and_ctrl_g_c_back(tmp_path: Path) -> None:
    from palaver_tui.screens.history import HistoryScreen

    async with chat(tmp_path, says("ok"), size=(120, 36)) as talk:
        await talk.ask("Hi")
        await talk.pilot.press("ctrl+g")
        await talk.pilot.pause()
        assert "h History" in talk.shown()
        await talk.pilot.press("h")
        await talk.until(lambda: isinstance(talk.app.screen, HistoryScreen))
        await talk.until(lambda: "scripted" in talk.shown())
        await talk.pilot.press("ctrl+g", "c")
        await talk.until(lambda: talk.app.screen is talk.app.chat)


async def test_f1_shows_keys_and_the_tasks_of_plugins(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok"), size=(100, 60)) as talk:
        await talk.pilot.press("f1")
        await talk.until(lambda: "/summarize" in talk.shown())
        assert "ctrl+j" in talk.shown()
        await talk.pilot.press("escape")
        await talk.until(lambda: talk.app.screen is talk.app.chat)


async def test_f1_over_the_history_shows_the_keys_of_the_history(tmp_path: Path) -> None:
    from palaver_tui.screens.history import HistoryScreen

    async with chat(tmp_path, says("ok"), size=(100, 40)) as talk:
        talk.app.go("History")
        await talk.until(lambda: isinstance(talk.app.screen, HistoryScreen))
        await talk.until(lambda: "r run again" in talk.shown())
        await talk.pilot.press("f1")
        await talk.until(lambda: "undo: bring back what was deleted" in talk.shown())
        assert "/summarize" not in talk.shown()
        await talk.pilot.press("escape")
        await talk.until(lambda: isinstance(talk.app.screen, HistoryScreen))


async def test_every_screen_of_the_table_is_in_the_palette_the_menu_and_behind_its_letter(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok"), size=(120, 36)) as talk:
        titles = {one.title for one in talk.app.palette_commands()}
        for place in PLACES:
            assert f"go: {place.command}" in titles
            await talk.pilot.press("ctrl+g", place.letter)
            await talk.until(lambda place=place: current(talk) == place.name)
            if place.source:
                assert isinstance(talk.app.screen, PlaceScreen)
                assert talk.app.screen.HELP_KEYS
                assert entry(f"/{place.command}")
    letters = [place.letter for place in PLACES]
    assert len(set(letters)) == len(letters)


async def test_a_click_on_a_name_in_the_first_row_goes_there(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok"), size=(120, 36)) as talk:
        at = header_line("Chat", "", 120).plain.index("History")
        await talk.pilot.click(Header, offset=(at, 0))
        await talk.until(lambda: current(talk) == "History")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_letters_of_all_screens_fit(width: int) -> None:
    rows = goto_text([*PLACES, *PLACES, *PLACES], width).plain.splitlines()
    assert all(len(row) <= width for row in rows)


def current(talk: Chat) -> str:
    """The screen that the first row names."""
    return talk.app.screen.query_one(Header)._current


def entry(text: str) -> Entry:
    """The menu's entry for a command."""
    return next(one for one in slash.entries(None) if one.text == text)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
@pytest.mark.parametrize("role", ["foreground", "accent", "error", "muted", "better", "worse"])
def test_text_has_the_contrast_that_wcag_aa_asks_for(theme: Theme, role: str) -> None:
    ink = theme.variables.get(role) or getattr(theme, role)
    for ground in (theme.background, theme.boost):
        assert ground is not None
        assert contrast(Color.parse(ink), Color.parse(ground)) >= 4.5


def contrast(one: Color, other: Color) -> float:
    """WCAG 2.2: (L1 + 0.05) / (L2 + 0.05), the lighter one first."""
    first, second = sorted((luminance(one), luminance(other)), reverse=True)
    return (first + 0.05) / (second + 0.05)


def luminance(color: Color) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color.normalized]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def test_the_contrast_formula_gives_the_known_values() -> None:
    assert contrast(Color.parse("#000"), Color.parse("#fff")) == pytest.approx(21)  # 1.05 / 0.05
    assert contrast(Color.parse("#777"), Color.parse("#777")) == 1


@pytest.mark.parametrize("hints", ALL_HINTS.values(), ids=ALL_HINTS)
def test_no_hint_is_cut_between_60_and_200_columns(hints: tuple[Hint, ...]) -> None:
    for width in range(60, 201):
        kept = fitting(hints, width)
        line = footer_line(hints, width).plain
        assert len(line) <= width
        assert 0 < len(kept) <= MOST
        assert all(f"{hint.key} {hint.does}" in line for hint in kept)


def test_the_least_needed_hint_leaves_first() -> None:
    hints = (Hint("a", "one", 1), Hint("b", "two", 3), Hint("c", "three", 2))
    # " a one   b two   c three" has 24 cells.
    assert fitting(hints, 24) == list(hints)
    assert fitting(hints, 23) == [hints[0], hints[2]]


@pytest.mark.parametrize("width", [60, 71, 72, 80, 104, 120, 200])
def test_the_first_row_fits_and_its_state_loses_its_last_part_first(width: int) -> None:
    line = header_line("Chat", "● qwen2.5-1.5b 1.1 GB · loading 64 % · cpu", width).plain
    assert len(line) <= width
    assert "qwen2.5-1.5b" in line


@pytest.mark.parametrize("size", [(120, 36), (80, 24), (60, 20)])
@pytest.mark.parametrize("theme", [theme.name for theme in THEMES])
async def test_a_scored_answer_is_usable_at_every_size(tmp_path: Path, size: tuple[int, int], theme: str) -> None:
    async with chat(tmp_path, says("the cat sat on the mat"), size=size, theme=theme) as talk:
        await talk.ask("/translate en die Katze --ref 'the cat sat'")
        shown = talk.shown()
        for part in ("the cat sat on the mat", "BLEU", "n=1", "#1", "❯", "enter send", "palaver"):
            assert part in shown
        assert all(len(line) <= size[0] for line in shown.splitlines())
