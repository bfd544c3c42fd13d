"""A file in a folder is a plugin while it is written: used at once, read anew when it is saved, checked each time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.core.installed import Site

from palaver.paths import config_file
from palaver.plugins import Found, Plugins, find
from palaver.registry import Registry
from palaver.testing.scripted import Scripted, ScriptedRegistry

TASK = '''
from palaver import task

@task
def {name}(text: str, words: int = {words}) -> str:
    """Say it {how}.

    words: How many.
    """
    return f"{{words}} {{text}}"
'''
MODEL = """
from palaver import Delta, ModelInfo

class Model:
    info = ModelInfo("mine", "mine", tasks=("*",), digest="1")
    def stream(self, requests, config, cancel):
        yield from (Delta("from its own process", index, "stop") for index, _ in enumerate(requests))
    def close(self): pass

class Backend:
    name, isolated = "mine", True
    def resolve(self, name): return None
    def load(self, info): return Model()

def palaver_backends(): return [Backend()]
def palaver_models(): return [Model.info]
"""


@pytest.fixture
def folder(palaver_home: Path) -> Path:
    made = config_file().parent / "plugins"
    made.mkdir(parents=True)
    return made


def save(path: Path, source: str) -> None:
    """Write it as an editor does, with a time that no earlier state had."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(source, "utf-8")
    os.utime(path, ns=(time.time_ns(), max(time.time_ns(), before + 1_000_000)))


def test_an_open_session_has_what_was_just_saved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palaver.registry.LOOK_SECONDS", 0)
    monkeypatch.setattr("palaver.registry.REFRESH_SECONDS", 60)
    monkeypatch.setattr(sys, "path", list(sys.path))
    registry = Registry(Plugins([one for one in find() if one.name == "summarize"]))
    assert "loud" not in registry.tasks()
    save(folder / "loud_one.py", TASK.format(name="loud", words=3, how="loud"))
    assert registry.tasks()["loud"].summary() == "Say it loud."
    save(folder / "loud_one.py", TASK.format(name="loud", words=5, how="louder"))
    assert registry.tasks()["loud"].summary() == "Say it louder."
    save(folder / "loud_one.py", "def broken(:")
    assert "loud" not in registry.tasks()
    (reason,) = [one.reason for one in registry.plugins if one.health == "broken"]
    assert "SyntaxError" in reason
    save(folder / "loud_one.py", TASK.format(name="loud", words=5, how="again"))
    assert registry.task("loud").summary() == "Say it again."
    (folder / "loud_one.py").unlink()
    assert set(registry.tasks()) == {"chat", "summarize"}


def test_a_file_that_is_checked_stays_while_its_check_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palaver.registry.LOOK_SECONDS", 0)
    monkeypatch.setattr(sys, "path", list(sys.path))
    save(tmp_path / "loud_two.py", TASK.format(name="loud", words=3, how="loud"))  # in a folder that nobody watches
    found = Found("loud_two", "loud_two", "single file", "0", place=str(tmp_path))
    registry = ScriptedRegistry(Scripted("x"), [found])
    for _ in range(2):
        assert "loud" in registry.tasks()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path / "site", tmp_path / "home")
    made.folder.mkdir()
    return made


def test_dev_checks_the_files_and_says_what_is_wrong(site: Site, tmp_path: Path) -> None:
    work = tmp_path / "work"
    assert site.palaver("plugins", "dev", "--once", str(work)).returncode == 4
    work.mkdir()
    save(work / "loud.py", TASK.format(name="loud", words=3, how="loud"))
    assert "loud: task loud · " in site.out("plugins", "dev", "--once", str(work))
    save(work / "loud.py", TASK.format(name="loud", words=3, how="loud").replace("    words: How many.\n", ""))
    save(work / "json.py", "")
    done = site.palaver("plugins", "dev", "--once", str(work))
    assert done.returncode == 1
    assert "  docs: task loud: the option 'words' has no help" in done.stdout
    assert "json: broken: another module is called 'json'" in done.stdout


def test_while_dev_runs_every_command_has_the_files_and_their_models(site: Site, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    save(work / "loud.py", TASK.format(name="loud", words=3, how="loud") + MODEL)
    running = subprocess.Popen(
        [sys.executable, "-m", "palaver", "plugins", "dev", str(work)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, "PALAVER_HOME": str(site.home)},
    )  # fmt: skip
    assert running.stdout is not None
    try:
        assert running.stdout.readline().startswith("loud: task loud, model mine, backend mine · ")
        assert site.out("loud", "-m", "mine", "hello") == "from its own process\n"
        save(work / "loud.py", "import nothing_of_the_kind")
        assert "broken: ModuleNotFoundError" in running.stdout.readline()
    finally:
        running.kill()
        running.wait()
        running.stdout.close()
    assert site.palaver("loud", "-m", "mine", "hello").returncode == 3
