"""What a model, a file name or a server wrote cannot move the cursor, set the clipboard or turn the text."""

from __future__ import annotations

import pytest

from palaver.cli.output import PIPE_WIDTH, table
from palaver.terminal import cells, clip, safe_line, safe_text

HOSTILE = [
    "\x1b[31mred",
    "\x1b]52;c;aGk=\x07",
    "\x1b]0;title\x07",
    "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\",
    "\x1bPq\x1b\\",
    "\x1b_apc\x1b\\",
    "\x9b31m",
    "\x9d0;t\x9c",
    "\x90q\x9c",
    "a\bb",
    "a\x0bb",
    "a\x0cb",
    "a\rb",
    "a\x00b",
    "a\x7fb",
    "\u202eevil\u202c",
    "\u2066x\u2069",
    "\u200bhidden",
    "\ufeffbom",
    "\U000e0041tag",
    "\ud800lone",
    "one\u2028two",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_a_terminal_would_obey_is_left(text: str) -> None:
    safe = safe_text(text)
    for char in safe:
        code = ord(char)
        assert char in "\n\t" or not (code < 0x20 or 0x7F <= code <= 0x9F or 0xD800 <= code <= 0xDFFF)
        assert not 0x202A <= code <= 0x202E
        assert not 0x2066 <= code <= 0x2069
        assert not 0xE0000 <= code <= 0xE007F
    safe.encode("utf-8")


def test_an_escape_is_shown_not_dropped() -> None:
    assert safe_text("\x1b[31m") == "␛[31m"


@pytest.mark.parametrize("text", ["Grüße\n\tTab", "日本語", "नमस्ते", "👩‍👩‍👧 ❤️", "שלום", "Ångström e\u0301"])
def test_ordinary_text_of_any_script_is_unchanged(text: str) -> None:
    assert safe_text(text) == text


def test_windows_line_ends_become_newlines() -> None:
    assert safe_text("a\r\nb") == "a\nb"


def test_a_line_is_one_line() -> None:
    assert safe_line("a\n\n  b\tc\x07") == "a b c␇"


def test_width_is_counted_in_cells() -> None:
    assert cells("日本") == 4
    assert cells("e\u0301") == 1
    assert clip("日本語", 5) == "日本…"  # 2 + 2 cells and the ellipsis
    assert clip("abc", 3) == "abc"
    assert clip("abcd", 3) == "ab…"
    assert clip("abcd", 0) == ""


def test_a_table_cuts_names_before_numbers() -> None:
    rows = [("a-model-with-a-very-long-name@bfloat16", "36.8 [34.7, 39.1]", "a-model-with-a-very-long-name@bfloat16")]
    lines = table(("model", "score, 95 %", "better"), rows, whole={1}).splitlines()
    assert all(cells(line) <= PIPE_WIDTH for line in lines)
    assert "  36.8 [34.7, 39.1]  " in lines[1]
    many = [("x" * 60, "36.8 [34.7, 39.1]", "36.8 [34.7, 39.1]", "36.8 [34.7, 39.1]", "36.8 [34.7, 39.1]")]
    assert table(("a", "b", "c", "d", "e"), many, whole=range(1, 5)).count("36.8 [34.7, 39.1]") == 4
