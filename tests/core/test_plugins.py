"""Plugins are found by metadata, imported on use, and a broken one takes nothing down."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from palaver.plugins import Found, Plugins, find, read_index

BROKEN = {
    "importing": "import a_module_that_is_not_there",
    "syntax": "def broken(:",
    "exiting": "import sys; sys.exit(3)",
    "raising": "raise ValueError('no licence [/x]')",
    "typo": "def palaver_taskz(): return []",
    "newer": "PALAVER_API = 99",
    "hook": "def palaver_tasks(): raise KeyError('boom')",
}
GOOD = '''
from dataclasses import dataclass
from palaver import Task

@dataclass(frozen=True)
class Shout(Task):
    """Say it louder."""
    name = "shout"
    def request(self, example):
        return self.ask("Shout.", example["text"])
'''


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def plugin(folder: Path, name: str, source: str) -> Found:
    (folder / f"fixture_{name}.py").write_text(source, "utf-8")
    return Found(name, f"fixture_{name}", "fixture", "1")


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_is_listed_with_its_reason_and_the_good_one_works(modules: Path, kind: str) -> None:
    plugins = Plugins([plugin(modules, kind, BROKEN[kind]), plugin(modules, f"good_{kind}", GOOD)])
    plugins.load()
    tasks = [task.name for _, tasks in plugins.call("palaver_tasks") for task in tasks]
    broken, good = list(plugins)
    assert tasks == ["shout"]
    assert (broken.health, good.health) == ("broken", "ok")
    assert broken.reason
    assert "\n" not in broken.reason


def test_the_reason_names_the_error_its_text_and_the_line(modules: Path) -> None:
    plugins = Plugins([plugin(modules, "line", "\n\nraise ValueError('no licence')")])
    plugins.load()
    assert next(iter(plugins)).reason == "ValueError: no licence (fixture_line.py line 3)"


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("None", "returns a list, not NoneType"),
        ("'abc'", "returns a list, not str"),
        ("[1]", "subclasses of Task; 1 is none"),
        ("[type('T', (__import__('palaver').Task,), {'name': 'two words'})]", "a name is one word"),
    ],
)
def test_what_a_hook_returns_is_checked_before_anybody_uses_it(modules: Path, returned: str, said: str) -> None:
    name = f"returns_{abs(hash(returned))}"
    plugins = Plugins([plugin(modules, name, f"def palaver_tasks(): return {returned}")])
    plugins.load()
    assert said in next(iter(plugins)).reason
    assert plugins.call("palaver_tasks") == []


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("PALAVER_API = 99", "it wants plugin API 99, this Palaver has 1"),
        ("PALAVER_API: int = 2  # a comment", "it wants plugin API 2"),
        ("PALAVER_API = (2, 3)", r"it wants plugin API \(2, 3\)"),
        ("PALAVER_API = 'one'", "is a number or two"),
        ("PALAVER_API = (0, 1)", ""),
        ("PALAVER_API = 1", ""),
    ],
)
def test_a_plugin_for_another_contract_is_refused_before_a_line_of_it_runs(
    modules: Path, said: str, reason: str
) -> None:
    name = f"api_{abs(hash(said))}"
    plugins = Plugins([plugin(modules, name, f"print()\n{said}\n{GOOD}")], is_apart=False)
    plugins.load()
    (one,) = plugins
    assert re.search(reason, one.reason)
    assert one.health == ("broken" if reason else "ok")
    assert (f"fixture_{name}" in sys.modules) == (not reason)


def test_a_module_with_one_task_class_needs_no_hook(modules: Path) -> None:
    plugins = Plugins([plugin(modules, "seven", GOOD)])
    plugins.load()
    assert next(iter(plugins)).adds == ("task shout: Say it louder.",)


def test_what_a_plugin_prints_at_import_stays_out_of_the_answer(
    modules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugins = Plugins([plugin(modules, "noisy", "print('hello from a plugin')")])
    plugins.load()
    assert capsys.readouterr().out == ""


def test_a_plugin_that_is_off_is_not_imported(modules: Path) -> None:
    found = plugin(modules, "sleeping", "raise SystemError('imported')")
    plugins = Plugins([found], off=["sleeping"])
    plugins.load()
    assert next(iter(plugins)).health == "off"
    assert "fixture_sleeping" not in sys.modules


def test_the_index_remembers_what_a_plugin_adds(modules: Path) -> None:
    Plugins([plugin(modules, "kept", GOOD)]).load()
    assert read_index()["kept"].adds == ("task shout: Say it louder.",)


def test_the_built_in_plugins_come_through_the_entry_points() -> None:
    names = {one.name for one in find()}
    assert {"summarize", "translate", "qa", "generate", "metrics", "baselines", "llamacpp", "tui"} <= names
