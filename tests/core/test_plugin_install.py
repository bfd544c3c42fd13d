"""Plugins are installed, updated and removed by pip, which is held back from what Palaver stands on."""

from __future__ import annotations

from importlib import metadata

import pytest
from tests.core.shelf import Shelf

from palaver.cli.plugin_install import own_packages
from palaver.plugins.environment import make_environment

TASK = '''
from palaver import task

@task
def {name}(text: str) -> str:
    """{help}"""
    return text
'''

pytestmark = pytest.mark.install


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    place = tmp_path_factory.mktemp("install")
    (place / "wheels").mkdir()
    return Shelf(place / "wheels", make_environment(place / "venv"))


def test_a_plugin_is_installed_updated_and_removed_by_name(shelf: Shelf) -> None:
    shelf.put("palaver-murmur", "1.0", TASK.format(name="murmur", help="Say it low."), point="murmur")
    planned = shelf.palaver("plugins", "install", "--dry-run", "palaver-murmur")
    assert (planned.returncode, planned.stdout) == (0, "+ palaver-murmur 1.0\n"), planned.stderr
    assert shelf.palaver("plugins", "info", "murmur").returncode == 3
    done = shelf.palaver("plugins", "install", "palaver-murmur")
    assert done.returncode == 0
    assert "murmur works: task murmur" in done.stderr
    assert "Say it low." in shelf.palaver("murmur", "--help").stdout
    shelf.put("palaver-murmur", "2.0", TASK.format(name="murmur", help="Say it lower."), point="murmur")
    done = shelf.palaver("plugins", "update", "murmur")
    assert (done.returncode, done.stdout) == (0, "~ palaver-murmur 1.0 -> 2.0\n"), done.stderr
    assert "Say it lower." in shelf.palaver("murmur", "--help").stdout
    assert "Nothing to do" in shelf.palaver("plugins", "install", "palaver-murmur").stderr
    assert shelf.palaver("plugins", "remove", "murmur").returncode == 0
    assert "murmur" not in shelf.palaver("--help").stdout


def test_a_broken_plugin_is_installed_with_its_reason_and_can_be_removed(shelf: Shelf) -> None:
    shelf.put("palaver-broken", "1.0", "import os; os._exit(3)", point="broken")
    done = shelf.palaver("plugins", "install", "palaver-broken")
    assert "broken is broken: importing it: it ended the process (exit code 3)" in done.stderr
    assert shelf.palaver("plugins", "remove", "palaver-broken").returncode == 0
    assert shelf.palaver("plugins", "info", "broken").returncode == 3


def test_what_would_change_palavers_own_packages_is_refused(shelf: Shelf) -> None:
    shelf.put("click", "7.0", "")
    shelf.put("palaver-greedy", "1.0", TASK.format(name="greedy", help="More."), needs="click==7.0", point="greedy")
    done = shelf.palaver("plugins", "install", "palaver-greedy")
    assert done.returncode == 2
    assert f"click {metadata.version('click')} -> 7.0" in done.stderr
    assert shelf.palaver("plugins", "info", "greedy").returncode == 3


def test_what_cannot_be_found_or_came_with_palaver_is_said_in_a_sentence(shelf: Shelf) -> None:
    missing = shelf.palaver("plugins", "install", "palaver-not-there")
    assert missing.returncode == 1
    assert "pip cannot install: No matching distribution found for palaver-not-there" in missing.stderr
    built_in = shelf.palaver("plugins", "remove", "summarize")
    assert built_in.returncode == 2
    assert "palaver plugins disable summarize" in built_in.stderr
    assert shelf.palaver("plugins", "remove", "nobody").returncode == 3


def test_palavers_own_packages_are_its_needs_and_theirs() -> None:
    own = own_packages()
    assert {"palaver", "click", "pluggy", "textual", "rich", "httpx", "httpcore"} <= own
    assert not own & {"pytest", "ruff", "hatchling"}
