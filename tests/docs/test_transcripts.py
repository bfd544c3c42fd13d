"""The documentation is run: each `console` block is a transcript, replayed page by page in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.transcript import Command, commands, matches, matches_answer

ROOT = Path(__file__).parents[2]
ELSEWHERE = {"first-plugin.md"}
"""Installs what it writes: test_first_plugin.py replays it in an environment of its own."""
PAGES = [ROOT / "README.md", *(one for one in sorted((ROOT / "docs").glob("*.md")) if one.name not in ELSEWHERE)]


def replay(page: Path, home: Path) -> None:
    """Run the page's commands in order, as a reader would; fail with the first that prints something else."""
    here = home / "work"
    here.mkdir()
    environment = os.environ | {
        "PALAVER_HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "100",
        "NO_COLOR": "1",
    }
    for command in commands(page.read_text("utf-8")):
        check(page, command, here, environment)


def check(page: Path, command: Command, here: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-c", command.text],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if command.needs_model else subprocess.STDOUT,
        cwd=here,
        env=environment,
        timeout=300,
    )
    printed, talk = done.stdout.decode().splitlines(), (done.stderr or b"").decode().splitlines()
    if command.needs_model:
        is_true = matches_answer(command.expected, printed, talk)
    else:
        is_true = matches(command.expected, printed)
    said = [*command.expected, f"--- printed (exit {done.returncode})", *printed, *talk]
    assert is_true, f"{page.name}:{command.line}: $ {command.text}\n" + "\n".join(said)


def needs_model(page: Path) -> bool:
    return any(command.needs_model for command in commands(page.read_text("utf-8")))


@pytest.mark.parametrize("page", [page for page in PAGES if not needs_model(page)], ids=lambda page: page.name)
def test_a_page_says_what_its_commands_print(page: Path, palaver_home: Path) -> None:
    replay(page, palaver_home)


@pytest.mark.model
@pytest.mark.usefixtures("smollm2")
@pytest.mark.parametrize("page", [page for page in PAGES if needs_model(page)], ids=lambda page: page.name)
def test_a_page_with_the_embedded_model_says_what_its_commands_print(page: Path, palaver_home: Path) -> None:
    replay(page, palaver_home)
