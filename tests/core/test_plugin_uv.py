"""Where Palaver's Python has no pip, uv from the path says what it would change, installs and removes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from tests.core.shelf import Shelf

from palaver.cli.app import run
from palaver.cli.plugin_pip import has_pip, install_packages, plan, reason_of, uninstall_packages, uv_instead, uv_wants
from palaver.errors import PalaverError
from palaver.plugins.environment import make_environment

# As uv 0.11 prints it.
UPGRADES = """\
Using Python 3.11.7 environment at: v
Resolved 2 packages in 223ms
Would download 1 package
Would uninstall 2 packages
Would install 3 packages
 - six==1.16.0
 + six==1.17.0
 + palaver-shout==0.1.0 (from file:///home/me/palaver-shout)
 ~ palaver-again==2.0 (from file:///home/me/again)
"""
FAILS = """\
Using Python 3.11.7 environment at: v
error: No solution found when resolving dependencies
  cause: Because no-such-thing was not found in the package registry and you require no-such-thing, we can conclude
         that your requirements are unsatisfiable.
"""
FAILED_BEFORE = """\
  × No solution found when resolving dependencies:
  ╰─▶ Because six was not found in the cache, it cannot be used.
"""


def test_what_uv_would_install_is_read_from_what_it_prints() -> None:
    assert uv_wants(UPGRADES) == {"six": "1.17.0", "palaver-shout": "0.1.0", "palaver-again": "2.0"}
    assert uv_wants("Checked 1 package in 0.62ms\nWould make no changes\n") == {}


def test_why_uv_failed_is_one_sentence() -> None:
    said = reason_of(FAILS)
    assert said.startswith("No solution found when resolving dependencies Because no-such-thing was not found")
    assert said.endswith("we can conclude that your requirements are unsatisfiable.")
    assert "Because six was not found" in reason_of(FAILED_BEFORE)
    assert "╰" not in reason_of(FAILED_BEFORE)
    assert reason_of("") == "no reason given"


def test_with_pip_it_is_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    assert uv_instead() == ""
    monkeypatch.setitem(sys.modules, "pip", None)
    assert not has_pip()
    monkeypatch.setenv("PATH", "")
    assert uv_instead() == ""
    with pytest.raises(PalaverError) as caught:
        plan(["palaver-murmur"])
    assert caught.value.fix.endswith("-m ensurepip")


def find_uv() -> str:
    """On the path, or where pip put it beside the tests' own packages."""
    try:
        scripts = [metadata.distribution("uv").locate_file(one) for one in metadata.files("uv") or ()]
    except metadata.PackageNotFoundError:
        scripts = []
    beside = [str(Path(str(one)).resolve()) for one in scripts if Path(str(one)).name in ("uv", "uv.exe")]
    return shutil.which("uv") or next(iter(beside), "")


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, palaver_home: Path) -> Shelf:
    uv = find_uv()
    if not uv:
        pytest.skip("uv is not installed")
    (tmp_path / "wheels").mkdir()
    made = Shelf(tmp_path / "wheels", make_environment(tmp_path / "venv"))
    monkeypatch.setitem(sys.modules, "pip", None)
    monkeypatch.setattr(sys, "executable", str(made.python))
    monkeypatch.setenv("PATH", str(Path(uv).parent), prepend=":")
    for name, value in {"UV_NO_INDEX": "1", "UV_FIND_LINKS": str(made.folder), "UV_NO_CONFIG": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    return made


def installed(shelf: Shelf) -> set[str]:
    code = "import importlib.metadata as m; print(*(d.name for d in m.distributions()))"
    done = subprocess.run([shelf.python, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


@pytest.mark.install
def test_uv_plans_installs_upgrades_and_removes(shelf: Shelf) -> None:
    shelf.put("murmur-needs", "1.5", "")
    shelf.put("palaver-murmur", "1.0", "", needs="murmur-needs", point="murmur")
    assert [str(one) for one in plan(["palaver-murmur"])] == ["murmur-needs 1.5", "palaver-murmur 1.0"]
    assert "palaver-murmur" not in installed(shelf)
    install_packages(["palaver-murmur"])
    assert {"palaver-murmur", "murmur-needs"} <= installed(shelf)
    assert plan(["palaver-murmur"]) == []
    shelf.put("palaver-murmur", "2.0", "", point="murmur")
    assert [(one.package, one.after) for one in plan(["palaver-murmur"], ["--upgrade"])] == [("palaver-murmur", "2.0")]
    uninstall_packages(["palaver-murmur"])
    assert "palaver-murmur" not in installed(shelf)
    with pytest.raises(PalaverError, match=r"uv cannot install: .*palaver-not-there"):
        plan(["palaver-not-there"])


@pytest.mark.install
def test_the_command_refuses_by_uv_too_what_would_change_palavers_own(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.put("click", "7.0", "")
    shelf.put("palaver-greedy", "1.0", "", needs="click==7.0", point="greedy")
    assert run(["plugins", "install", "palaver-greedy"]) == 2
    assert f"click {metadata.version('click')} -> 7.0" in capsys.readouterr().err
    shelf.put("palaver-modest", "1.0", "", point="modest")
    assert run(["plugins", "install", "--dry-run", "palaver-modest"]) == 0
    assert capsys.readouterr().out == "+ palaver-modest 1.0\n"
    assert run(["plugins", "install", "--isolate", "venv", "palaver-modest"]) == 1
    assert f"uv pip install --python {shelf.python} pip" in capsys.readouterr().err
