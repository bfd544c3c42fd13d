"""The documentation hangs together: links lead somewhere, Python blocks run, all commands and codes are told."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import palaver
from palaver import errors, hookspecs
from palaver.cli.app import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("**/[!.]*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def named(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


def links(page: Path) -> Iterator[str]:
    for match in LINK.finditer(page.read_text("utf-8")):
        yield match.group(1) or match.group(2)


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_schema_that_is_written_is_told_and_every_one_that_is_told_is_written() -> None:
    schema = re.compile(r"palaver\.[a-z-]+/\d+")
    code = [path.read_text("utf-8") for room in ("core", "plugins", "tui") for path in (ROOT / room).rglob("*.py")]
    written = {name for text in code for name in schema.findall(text)}
    [table] = re.findall(
        r"^\| schema \|.*?\n\n", (ROOT / "docs" / "cli.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert "palaver.run/1" in written
    assert written == set(schema.findall(table))


@pytest.mark.parametrize("page", PAGES, ids=named(PAGES))
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} is not there"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=named(PAGES))
def test_every_page_under_docs_can_be_reached_from_its_index(page: Path) -> None:
    index = ROOT / "docs/index.md"
    if page.is_relative_to(ROOT / "docs") and page != index:
        assert page in {(index.parent / link).resolve() for link in links(index)}


def test_the_python_of_the_pages_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    import types

    blocks = [block for page in PAGES for block in PYTHON.findall(page.read_text("utf-8"))]
    assert blocks
    for number, block in enumerate(blocks):
        module = types.ModuleType(f"block_{number}")
        monkeypatch.setitem(sys.modules, module.__name__, module)  # a dataclass looks its module up
        exec(compile(block, f"block {number}", "exec"), module.__dict__)


def test_the_first_plugin_of_the_page_asks_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    import types

    block = PYTHON.findall((ROOT / "docs/plugins.md").read_text("utf-8"))[0]
    module = types.ModuleType("palaver_headline")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(block, module.__dict__)
    request = module.Headline(words=8).request(palaver.Example({"text": "A storm came."}))
    assert request.messages[0].content == "Write a headline of at most 8 words."


def subcommands(command: click.Command, words: str) -> Iterator[tuple[str, click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from subcommands(inner, f"{words} {name}")


def core_commands() -> list[tuple[str, click.Command]]:
    from importlib import import_module

    return [
        one for name in COMMANDS for one in subcommands(import_module(f"palaver.cli.{name}").command, f"palaver {name}")
    ]


def test_every_command_has_help_and_is_on_its_page() -> None:
    page = (ROOT / "docs/cli.md").read_text("utf-8")
    for words, command in core_commands():
        assert command.help, f"{words} has no help"
        assert f"`{words}" in page, f"{words} is not in docs/cli.md"


def test_every_flag_has_help() -> None:
    for words, command in core_commands():
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help, f"{words} {parameter.name}"


def test_every_exit_code_of_an_error_is_on_the_page() -> None:
    page = (ROOT / "docs/cli.md").read_text("utf-8")
    kinds = [
        value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.PalaverError)
    ]
    for kind in kinds:
        assert f"| {kind.exit_code} |" in page, kind


def test_every_hook_is_on_the_page_for_plugins() -> None:
    page = (ROOT / "docs/plugins.md").read_text("utf-8")
    for name in vars(hookspecs):
        assert not name.startswith("palaver_") or f"`{name}(" in page


def test_every_benchmark_is_on_its_page() -> None:
    page = (ROOT / "docs/performance.md").read_text("utf-8")
    for program in (ROOT / "tests/bench").glob("bench_*.py"):
        assert f"`tests/bench/{program.name}`" in page


def test_every_slash_command_of_the_chat_is_told() -> None:
    slash = pytest.importorskip("palaver_tui.slash")
    told = (ROOT / "docs/chat.md").read_text("utf-8") + (ROOT / "docs/screens.md").read_text("utf-8")
    assert [one.name for one in slash.COMMANDS if not re.search(rf"`/{one.name}\b", told)] == []


def test_every_environment_variable_that_is_read_is_told() -> None:
    sources = [path for part in ("core", "plugins", "tui") for path in (ROOT / part).rglob("*.py")]
    read = re.compile(r"environ(?:\.get\(|\[)\s*f?\"((?:PALAVER|OPENAI)_[A-Z_]+)\"")
    names = {name for path in sources for name in read.findall(path.read_text("utf-8"))}
    assert len(names) > 15
    told = (ROOT / "docs/cli.md").read_text("utf-8")
    assert sorted(name for name in names if f"`{name}`" not in told) == []
