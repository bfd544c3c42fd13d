"""What every screen keeps, at three sizes and in both themes; a new place of the app is checked without a word here."""

from __future__ import annotations

import asyncio
import difflib
import os
import re
from pathlib import Path

import pytest
from rich.color import Color as RichColor
from rich.segment import Segment
from tests.core.scripted import says
from tests.tui.every_screen import KEYS, SIZES, VISITS, Frame, Key, all_frames, opened, seen, visit, world, written
from tests.tui.test_keys_and_contrast import FORBIDDEN, contrast
from textual.color import Color

from palaver.terminal import cells
from palaver_tui.places import PLACES
from palaver_tui.theme import THEMES
from palaver_tui.widgets.footer import MOST, fitting, footer_line

SNAPSHOTS = Path(__file__).parent / "snapshots"
VIEWS = (*VISITS, *KEYS)
DARK = THEMES[0].name
ANSWER = "The old bridge reopened on Monday."
DRAWN = set("─│━┃╸╺▁▂▃▄▅▆▇█▏▎▍▌▋▊▉▔▕┊╵╷├┤●▀")
"""Lines, bars and borders: what WCAG asks of text it does not ask of them."""
ALWAYS = {
    "chat": ("scripted", "R-1 80.0"),
    "history": ("scripted", "R-1    80.0"),
    "models": ("scripted",),
    "compare-turns": ("A  ", "R-1 80.0"),
    "compare-runs": ("lead-3", "lexrank", "R-1"),
    "evaluate": ("lexrank", "R-1    100.0"),
    "evaluate-runs": ("lexrank",),
}
"""The model and its main score, which leave no screen that has them, at no size."""


@pytest.fixture(scope="session")
def frames(tmp_path_factory: pytest.TempPathFactory) -> dict[Key, Frame]:
    """All of them, from one run of the app."""
    return asyncio.run(all_frames(tmp_path_factory.mktemp("frames"), says(ANSWER)))


def named(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


@pytest.mark.parametrize("size", SIZES, ids=named)
@pytest.mark.parametrize("view", VIEWS)
def test_a_screen_keeps_its_frame(frames: dict[Key, Frame], view: str, size: tuple[int, int]) -> None:
    """The first row says where one is, no row is too long, the last one holds at most eight keys, whole."""
    frame = frames[view, size, DARK]
    assert len(frame.rows) == size[1]
    assert all(cells(row) <= size[0] for row in frame.rows)
    if view != "goto":
        assert frame.rows[0].startswith(" palaver  ")
        assert frame.rows[-1] == footer_line(frame.hints, size[0]).plain.rstrip()
        assert 2 <= len(fitting(frame.hints, size[0])) <= MOST
        assert len(frame.hints) <= MOST + 1  # one that comes in where there is no room for a longer one
    if view in VISITS:
        place, _ = VISITS[view]
        assert place in frame.rows[0]
    for text in ALWAYS.get(view, ()):
        assert any(text in row for row in frame.rows), text


@pytest.mark.parametrize("view", VIEWS)
def test_no_hint_of_a_screen_is_cut_between_60_and_200_columns(frames: dict[Key, Frame], view: str) -> None:
    hints = frames[view, SIZES[0], DARK].hints
    for width in range(60, 201):
        line = footer_line(hints, width).plain
        assert cells(line) <= width
        assert all(f"{hint.key} {hint.does}" in line for hint in fitting(hints, width))


@pytest.mark.parametrize("view", [view for view in VISITS if view != "chat"])
def test_a_screen_shows_its_command_line(frames: dict[Key, Frame], view: str) -> None:
    for size in SIZES:
        frame = frames[view, size, DARK]
        assert frame.command.startswith("palaver ")
        start = f" $ {frame.command}"[: size[0] - 4]
        assert any(row.startswith(start) for row in frame.rows), (size, frame.command)


@pytest.mark.parametrize("theme", [theme.name for theme in THEMES])
@pytest.mark.parametrize("view", VIEWS)
def test_every_letter_on_a_screen_has_the_contrast_of_wcag_aa(frames: dict[Key, Frame], view: str, theme: str) -> None:
    size = SIZES[0] if theme == DARK else SIZES[-1]
    wrong = {
        f"{segment.text.strip()!r} {value:.1f}"
        for line in frames[view, size, theme].lines
        for segment in line
        if (value := contrast_of(segment)) < 4.5
    }
    assert wrong == set()


def contrast_of(segment: Segment) -> float:
    """Of a segment's letters; 21 where there are none."""
    style = segment.style
    if style is None or style.color is None or style.bgcolor is None or not set(segment.text) - DRAWN - {" "}:
        return 21.0
    ink, ground = truly(style.color), truly(style.bgcolor)
    if style.dim:  # as Textual draws it for terminals that cannot
        ink = ground.blend(ink, 0.66)
    if style.reverse:
        ink, ground = ground, ink
    return contrast(ink, ground)


def truly(color: RichColor) -> Color:
    triplet = color.get_truecolor()
    return Color(triplet.red, triplet.green, triplet.blue)


@pytest.mark.parametrize("size", SIZES, ids=named)
@pytest.mark.parametrize("view", [view for view in VIEWS if view != "goto"])  # that one lies over another
def test_a_screen_is_laid_out_as_its_snapshot(frames: dict[Key, Frame], view: str, size: tuple[int, int]) -> None:
    """PALAVER_SNAPSHOTS=write makes them anew: read what git shows then."""
    path = SNAPSHOTS / f"{view}-{named(size)}.txt"
    rows = [lasting(row) for row in frames[view, size, DARK].rows]
    if os.environ.get("PALAVER_SNAPSHOTS") == "write":
        SNAPSHOTS.mkdir(exist_ok=True)
        path.write_text("\n".join(rows) + "\n", "utf-8")
    kept = path.read_text("utf-8").splitlines()
    assert rows == kept, "\n".join(difflib.unified_diff(kept, rows, path.name, "now", lineterm="", n=0))


def lasting(row: str) -> str:
    """A row without what each run and each machine has otherwise: times, durations, versions."""

    def zeros(match: re.Match[str]) -> str:
        return re.sub(r"\d", "0", match.group())

    row = re.sub(r"20\d\d-\d\d-\d\d|\b\d\d:\d\d(:\d\d)?\b|\b\d+\.\d+\.\d+\b|\d+\.\d+ s\b|\d+ tok/s", zeros, row)
    row = re.sub(r" +\d+ ms to import", "  0 ms to import", row)
    row = re.sub(r" *\d+ ms", lambda match: "0 ms".rjust(len(match.group())), row)
    # A time of more digits leaves less of what stands behind it before the end of the row.
    row = re.sub(r"speed: .*…$", "speed", row)
    return re.sub(r"speed: .*?(?=   |$)", "speed", row).rstrip()


async def test_no_screen_binds_a_key_that_terminals_do_not_send(tmp_path: Path) -> None:
    """Nor one that a field needs for editing; and each binding that a hint names, to follow keys.toml, is there."""
    editing = {f"ctrl+{letter}" for letter in "aekuwxyz"}
    with world(tmp_path, says(ANSWER)) as (app, session):
        runs = written(session, tmp_path, (f"/generate {ANSWER} --ref {ANSWER}",))
        async with app.run_test(size=(120, 36)) as pilot:
            await opened(pilot)
            for view in VIEWS:
                await visit(pilot, view, runs)
                nodes = (app, *app.screen.walk_children(with_self=True))
                ids = {one.id for node in nodes for found in node._bindings.key_to_bindings.values() for one in found}
                assert {hint.binding for hint in seen(app).hints if hint.binding} <= ids, view
                for node in nodes:
                    bound = set(node._bindings.key_to_bindings)
                    assert bound.isdisjoint(FORBIDDEN), (view, node)
                    for kind in type(node).__mro__:
                        if kind.__module__.startswith("palaver"):
                            own = {key for one in vars(kind).get("BINDINGS", ()) for key in keys_of(one)}
                            assert own.isdisjoint(editing), (view, node)
                if view in KEYS:
                    await pilot.press("escape")


def keys_of(binding: object) -> set[str]:
    """The keys of a Binding or of a tuple that stands for one."""
    text = getattr(binding, "key", None) or binding[0]  # type: ignore[index]
    return {key.strip() for key in str(text).split(",")}


async def test_no_color_leaves_no_colour_on_any_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with world(tmp_path, says(ANSWER)) as (app, session):
        runs = written(session, tmp_path, (f"/generate {ANSWER} --ref {ANSWER}",))
        async with app.run_test(size=(120, 36)) as pilot:
            await opened(pilot)
            for place in PLACES:
                await visit(pilot, place.command, runs)
                for line in seen(app).lines:
                    for segment in line:
                        for color in (segment.style.color, segment.style.bgcolor) if segment.style else ():
                            if color is not None:
                                red, green, blue = color.get_truecolor()
                                assert red == green == blue, (place.name, segment)
