"""Plugins whose dependencies conflict live side by side, each of them in an environment of its own."""

from __future__ import annotations

import json

import pytest
from tests.core.shelf import Shelf

from palaver.plugins.environment import make_environment

SAYS = '''
import conflicted
from palaver import Delta, ModelInfo, hookimpl, task

@task(metrics=("chrf",))
def {name}(text: str) -> str:
    """Say the version."""
    return f"{{conflicted.VERSION}} {{text}}"

class Says:
    def __init__(self, info): self.info = info
    def stream(self, requests, config, cancel):
        for index, request in enumerate(requests):
            yield Delta(f"{{conflicted.VERSION}}: {{request.messages[-1].content}}", index, "stop")
    def close(self): pass

class Backend:
    name, isolated = "{name}", True
    def resolve(self, name): return None
    def load(self, info): return Says(info)

@hookimpl
def palaver_backends(): return [Backend()]
@hookimpl
def palaver_models(): return [ModelInfo("{name}-model", "{name}", tasks=("*",), digest="1")]
'''

pytestmark = pytest.mark.install


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    place = tmp_path_factory.mktemp("venv")
    (place / "wheels").mkdir()
    made = Shelf(place / "wheels", make_environment(place / "venv"))
    for version in ("1.0", "2.0"):
        made.put("conflicted", version, f"VERSION = {version!r}\n")
    made.put("palaver-left", "1.0", SAYS.format(name="left"), needs="conflicted==1.0", point="left")
    made.put("palaver-right", "1.0", SAYS.format(name="right"), needs="conflicted==2.0", point="right")
    return made


def said(shelf: Shelf, *arguments: str) -> str:
    done = shelf.palaver(*arguments)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_dependencies_that_conflict_coexist(shelf: Shelf) -> None:
    said(shelf, "plugins", "install", "palaver-left")
    planned = shelf.palaver("plugins", "install", "--isolate", "venv", "--dry-run", "palaver-right")
    assert planned.stdout.splitlines() == ["+ conflicted 2.0", "+ palaver-right 1.0"], planned.stderr
    assert shelf.palaver("plugins", "info", "right").returncode == 3
    done = shelf.palaver("plugins", "install", "--isolate", "venv", "palaver-right")
    assert (done.returncode, "right works: task right, model right-model, backend right" in done.stderr) == (0, True)
    # The task's code and the model's process each see their own version.
    assert said(shelf, "left", "-m", "left-model", "hello") == "1.0: 1.0 hello\n"
    assert said(shelf, "right", "-m", "right-model", "hello") == "2.0: 2.0 hello\n"
    listed = {one["name"]: one["isolation"] for one in json.loads(said(shelf, "plugins", "list", "--json"))["plugins"]}
    assert (listed["left"], listed["right"]) == ("process", "venv")


def test_it_is_updated_and_removed_there(shelf: Shelf) -> None:
    shelf.put("palaver-right", "1.1", SAYS.format(name="right"), needs="conflicted==2.0", point="right")
    done = shelf.palaver("plugins", "update", "right")
    assert (done.returncode, done.stdout) == (0, "~ palaver-right 1.1\n"), done.stderr
    twice = shelf.palaver("plugins", "install", "--isolate", "venv", "palaver-right")
    assert (twice.returncode, "has its own environment already" in twice.stderr) == (4, True)
    assert "right is gone (palaver-right 1.1)" in shelf.palaver("plugins", "remove", "right").stderr
    assert shelf.palaver("plugins", "info", "right").returncode == 3
    assert said(shelf, "left", "-m", "left-model", "hello") == "1.0: 1.0 hello\n"


def test_an_installed_plugin_moves_into_an_environment_and_back(shelf: Shelf) -> None:
    done = shelf.palaver("plugins", "isolate", "left", "venv")
    assert done.returncode == 0, done.stderr
    assert "environments/palaver-left" in said(shelf, "plugins", "info", "left")
    assert said(shelf, "left", "-m", "left-model", "hello") == "1.0: 1.0 hello\n"
    said(shelf, "plugins", "isolate", "left", "inproc")
    assert "environments" not in said(shelf, "plugins", "info", "left")
    assert said(shelf, "left", "-m", "left-model", "hello") == "1.0: 1.0 hello\n"


def test_what_is_no_plugin_leaves_no_environment_behind(shelf: Shelf) -> None:
    done = shelf.palaver("plugins", "install", "--isolate", "venv", "conflicted")
    assert (done.returncode, "conflicted is no plugin" in done.stderr) == (4, True), done.stderr
    assert list((shelf.folder.parent / "home/environments").iterdir()) == []
