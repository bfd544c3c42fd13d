"""A typed line, a form and a shell command say the same."""

from __future__ import annotations

import shlex

import pytest
from tests.core.scripted import Scripted, ScriptedRegistry, says

from palaver.command import parse_line
from palaver_tui.spelled import Spelled, name_in, names_in, names_line, spell, unclear


@pytest.fixture(scope="module")
def registry() -> ScriptedRegistry:
    return ScriptedRegistry(Scripted(says("ok")))


@pytest.mark.parametrize(
    "line",
    [
        "Hello there",
        "//not a command",
        "/translate de Good day",
        '/translate de Good day --ref "Guten Tag" --ref "Guten \\"Tag\\"" -m copy --seed 7',
        "/summarize -o length=2 One. Two. Three.",
        '/qa "The river Danube flows through Ulm." Which river?',
        "/qa context? \\d \"quoted\" words",
    ],
)  # fmt: skip
def test_a_line_spelled_and_written_again_asks_the_same(registry: ScriptedRegistry, line: str) -> None:
    asked, again = parse_line(line, registry), parse_line(spell(line, registry).line, registry)
    assert (again.task, again.example, again.model, again.config) == (
        asked.task, asked.example, asked.model, asked.config
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("Hello", "palaver run chat Hello"),
        ("/translate de it's", """palaver translate -o target=de 'it'"'"'s'"""),
        ("/summarize @paper.txt -m lead-3 -o length=3", "palaver summarize -m lead-3 -o length=3 @paper.txt"),
        ("/summarize -5 degrees", "palaver summarize -- '-5 degrees'"),
        ('/qa "a b" who', "palaver qa 'a b' who"),
    ],
)
def test_the_command_of_the_shell_holds_the_same(registry: ScriptedRegistry, line: str, command: str) -> None:
    assert spell(line, registry).command == command
    assert shlex.split(command)[0] == "palaver"


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("/summarize", "needs text"),
        ("/translate Hello there", "no language known"),
        ("/translate", "needs target"),
        ("/translate de", "needs text"),
        ("/summarize x --seed now", "seed is a whole number"),
        ("/summarize One. Two.", ""),
        ("/summarize @not-there.txt", ""),
        ("/nothing x", ""),
        ("Hello", ""),
    ],
)
def test_what_is_missing_or_unclear_is_said(registry: ScriptedRegistry, line: str, missing: str) -> None:
    said = unclear(line, registry)
    assert missing in said
    assert bool(said) == bool(missing)


def test_a_text_that_begins_with_a_slash_stays_a_text() -> None:
    assert Spelled("chat", {"text": "/etc/passwd"}).line == "//etc/passwd"


def test_a_name_with_blanks_stands_in_quotes_and_comes_back() -> None:
    names = ["smollm2", "/data/my runs/de", 'odd "name"', "back\\slash \\x"]
    assert names_in(names_line(names)) == names
    assert names_in(" smollm2, copy  lead-3") == ["smollm2", "copy", "lead-3"]
    assert name_in('"/data/my runs/de"') == name_in("/data/my runs/de") == "/data/my runs/de"
