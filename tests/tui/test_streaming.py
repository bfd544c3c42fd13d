"""A growing answer is cut where a block has ended, and a very long one stays cheap."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.core.scripted import Script
from tests.tui.chat_app import chat

from palaver import Delta, GenerationConfig, Request
from palaver.terminal import cells
from palaver_tui.widgets.answer import BLOCKS, PLAIN, ROWS, Answer, cut_at
from palaver_tui.widgets.document import Document
from palaver_tui.widgets.exchange import Exchange
from palaver_tui.widgets.tail import wrap
from palaver_tui.widgets.text import Text


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        ("one line", ""),
        ("one\n\ntwo", "one\n\n"),
        ("one\n\ntwo\n\nthr", "one\n\ntwo\n\n"),
        ("one\n\n```\ncode\n\nmore", "one\n\n"),  # the fence is open: its blank lines end nothing
        ("```\na\n\nb\n```\n\nafter", "```\na\n\nb\n```\n\n"),
        ("```\na\n\nb\n```\nafter", ""),
        ("~~~\na\n\nb", ""),
        ("- item\n" * 2, ""),
    ],
)
def test_it_is_cut_at_the_last_blank_line_outside_a_fence(text: str, settled: str) -> None:
    assert text[: cut_at(text)] == settled


def test_a_block_of_more_rows_than_markdown_takes_is_cut_between_two_lines_but_a_fence_is_not() -> None:
    assert cut_at("- a longer item\n" * (ROWS + 1)) == 16 * (ROWS + 1)
    assert cut_at("| a | longer b |\n" * ROWS) == 0
    assert cut_at("```\n" + "code\n" * (ROWS + 1)) == 0


def test_what_is_too_long_for_markdown_is_cut_anywhere() -> None:
    assert cut_at("word " * (PLAIN // 5 + 1)) > PLAIN - 5
    assert cut_at("| a |\n" * (BLOCKS + 1)) == 6 * (BLOCKS + 1)


@pytest.mark.parametrize(
    "text", ["the quick brown fox", "a\n\n  indented\tx", "wörter 日本語のとても長い文 end", "x" * 95, ""]
)
@pytest.mark.parametrize("step", [1, 3, 1000])
def test_a_tail_wraps_the_same_piece_by_piece_and_loses_nothing(text: str, step: int) -> None:
    whole = wrap(text, 20)
    lines = [""]
    for start in range(0, len(text), step):
        lines[-1:] = wrap(lines[-1] + text[start : start + step], 20)
    assert lines == whole
    assert "".join(lines) == text.replace("\n", "")
    assert all(cells(line.rstrip()) <= 20 for line in lines)


SHAPES = {
    "mixed": "# Title\n\nSome *text* here.\n\n- one\n- two\n\n```python\nx = 1\n\ny = 2\n```\n\nThe end.",
    "list": "- item of a list\n" * 300,
    "table": "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 300,
    "fence": "```\n" + "line of code\n" * 400 + "```\n",
    "paragraph": "word " * 5000,
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_nothing_of_a_streamed_answer_is_lost_or_doubled(tmp_path: Path, shape: str) -> None:
    text = SHAPES[shape]

    def script(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        step = max(7, len(text) // 400)
        for start in range(0, len(text), step):
            time.sleep(0.002)
            yield Delta(text[start : start + step])
        yield Delta(finish_reason="stop")

    async with chat(tmp_path, script, size=(100, 30)) as talk:
        exchange = await talk.ask("Go")
        assert talk.store.turn(1).output == text.strip()
        parts = []
        for block in exchange.query_one(Answer).query(".block"):
            parts.append(block._markdown if isinstance(block, Document) else str(block.content))  # type: ignore[attr-defined]
        assert "".join("".join(parts).split()) == "".join(text.split())


async def test_a_hundred_thousand_characters_keep_the_keys_alive(tmp_path: Path) -> None:
    """E4: many paragraphs at once; a key is answered while they come, and after."""

    def script(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        for number in range(5000):
            yield Delta(f"Paragraph {number}.\n\n")
        yield Delta(finish_reason="stop")

    async with chat(tmp_path, script) as talk:
        await talk.send("Go")
        await talk.pilot.press("x")
        assert talk.screen.prompt.text == "x"
        await talk.until(lambda: talk.screen.running is None)
        # As Markdown this would be 5000 widgets.
        assert len(talk.exchanges[-1].query("*")) < 200
        assert talk.exchanges[-1].query(Text)


FENCE_AND_TABLE = "Here:\n\n```python\nx = 1\n```\n\n| a | b |\n|---|---|\n| cell one | cell two |\n"


def at_once(text: str) -> Script:
    """The whole answer in one piece, without any delay."""

    def script(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        yield Delta(text, finish_reason="stop")

    return script


async def test_a_first_answer_without_any_delay_is_on_the_screen(tmp_path: Path) -> None:
    async with chat(tmp_path, at_once(FENCE_AND_TABLE)) as talk:
        await talk.ask("Go")
        for part in ("Here:", "x = 1", "cell one", "cell two"):
            assert part in talk.shown()


@pytest.mark.parametrize("is_fed", [False, True])
async def test_an_answer_that_ends_before_it_is_on_the_screen_is_shown(tmp_path: Path, is_fed: bool) -> None:
    async with chat(tmp_path, at_once("")) as talk:
        exchange = Exchange("Go", who="scripted")
        mounting = talk.screen.transcript.add(exchange)  # not awaited: it is not mounted yet
        if is_fed:
            exchange.feed(FENCE_AND_TABLE)
        exchange.finish(FENCE_AND_TABLE, turn_id=1)
        await mounting
        await talk.until(lambda: "cell two" in talk.shown() and "x = 1" in talk.shown(), "the bubble stayed empty")
        assert talk.shown().count("cell two") == 1


async def test_what_was_fed_before_an_answer_is_on_the_screen_is_shown(tmp_path: Path) -> None:
    async with chat(tmp_path, at_once("")) as talk:
        exchange = Exchange("Go", who="scripted")
        mounting = talk.screen.transcript.add(exchange)
        exchange.feed("The first words")
        await mounting
        await talk.until(lambda: "The first words▍" in talk.shown())
