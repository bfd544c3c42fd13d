"""How turns are worded in the table and in the detail."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from rich.cells import cell_len

from palaver.metric import Span
from palaver.store import TurnLine
from palaver_tui.screens.turn_rows import LAYOUTS, table_row, trends, when
from palaver_tui.widgets.table import _columns, _segment
from palaver_tui.widgets.turn_detail import LONGEST, marked

NOW = datetime(2026, 6, 17, 15, 0)  # a Wednesday


def line(**changes: object) -> TurnLine:
    values: dict[str, object] = {
        "id": 1, "created": NOW.timestamp(), "task": "translate", "model": "m", "status": "complete",
        "input_start": "in", "output_start": "out", "error": "", "main": ("BLEU", 62.4), "second": None, "rating": None,
    }  # fmt: skip
    return TurnLine(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("then", "said"),
    [
        (NOW - timedelta(minutes=1), "14:59"),
        (NOW - timedelta(days=1), "Tue"),
        (NOW - timedelta(days=5), "Fri"),
        (NOW - timedelta(days=30), "05-18"),
        (NOW - timedelta(days=300), "25-08"),
        (NOW + timedelta(days=2), "06-19"),  # a clock that was wrong once
    ],
)
def test_time_becomes_coarser_with_age(then: datetime, said: str) -> None:
    assert when(then.timestamp(), NOW) == said


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("complete", "out"),
        ("truncated", "out"),
        ("failed", "! failed: too long"),
        ("cancelled", "stopped · out"),
        ("running", "running · out"),
        ("interrupted", "interrupted · out"),
    ],
)
def test_the_way_a_turn_ended_is_a_word(status: str, words: str) -> None:
    row = table_row(line(status=status, error="too long" if status == "failed" else ""), NOW)
    assert row.cells["output"].text == words


@pytest.mark.parametrize(
    "text", ["ascii", "犬は台所で眠り猫は窓辺に座っている", "مرحبا بالعالم كله", "👩‍👩‍👧 family 🎉" * 5, "e\u0301" * 40]
)
@pytest.mark.parametrize("width", [30, 60, 80, 120, 200])
def test_every_row_is_as_wide_as_the_table_whatever_its_text(text: str, width: int) -> None:
    row = table_row(line(output_start=text, model=text, task=text), NOW)
    from rich.style import Style

    from palaver_tui.widgets.table import GUTTER
    from palaver_tui.widgets.window import Cell

    columns = _columns(LAYOUTS, width)
    sizes = [cell_len(_segment(row.cells.get(one.name, Cell("")), size, Style()).text) for one, size in columns]
    assert sizes == [size + 2 for _, size in columns]
    assert GUTTER + sum(sizes) <= max(width, GUTTER + 16 + 11 + 4)  # model and main score stay, however narrow


def test_a_trend_needs_two_days_and_shares_one_scale() -> None:
    day = 86_400
    today = [line(main=("BLEU", 50.0))]
    assert trends(today) == ("", [])
    lines = [
        line(model="a", main=("BLEU", 100.0)),
        line(model="a", main=("BLEU", 50.0)),  # mean of the day: 75
        line(model="a", main=("BLEU", 0.0), created=NOW.timestamp() - day),
        line(model="b", main=("BLEU", 0.0), created=NOW.timestamp() - day),
        line(model="b", main=("chrF", 99.0)),  # not the commonest score
    ]
    title, models = trends(lines)
    assert title == "BLEU"
    assert [(one.model, one.bars, one.latest) for one in models] == [("a", "▁█", "75.0"), ("b", "▁", "0.0")]


def test_marks_stay_on_their_words_when_text_before_them_is_made_safe() -> None:
    # The right-to-left override vanishes, so all that follows moves to the left by one.
    output = "\u202eone two"
    content = marked(output, [Span(1, 4, "fourgram"), Span(5, 8, "none")])
    assert content.plain == "one two"
    assert [(content.plain[span.start : span.end], str(span.style)) for span in content.spans] == [
        ("one", "bold underline"),
        ("two", "dim"),
    ]


def test_a_very_long_output_is_cut_and_says_where_the_rest_is() -> None:
    content = marked("x" * (LONGEST + 1234), [Span(0, LONGEST + 1234, "ngram")], 7)
    assert "1,234 more characters: palaver history show 7" in content.plain
    assert len(content.plain) < LONGEST + 100
