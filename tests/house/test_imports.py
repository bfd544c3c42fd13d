"""The import walls stand, and nobody pays at start-up for what they do not use."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.core.installed import Site

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "numpy", "sacrebleu", "rouge_score", "sqlite_utils", "xllamacpp", "httpx")
BUILT_IN = sorted(
    tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]["palaver"].values()
)
MODULES = ["palaver", "palaver.cli", "palaver.session", "palaver.hookspecs", *BUILT_IN]


def imported_by(statement: str) -> set[str]:
    """Top-level packages in `sys.modules` after `statement`, in an interpreter of its own."""
    return {name.partition(".")[0] for name in modules_after(statement)}


def modules_after(statement: str) -> set[str]:
    """Names in `sys.modules` after `statement`, in an interpreter of its own."""
    script = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("module", MODULES)
def test_an_import_brings_no_library_that_only_some_users_need(module: str) -> None:
    assert imported_by(f"import {module}").isdisjoint(HEAVY)


@pytest.mark.parametrize("module", [one for one in MODULES if one != "palaver_tui"])
def test_only_the_terminal_ui_imports_textual(module: str) -> None:
    assert imported_by(f"import {module}").isdisjoint({"textual", "rich"})


def test_import_palaver_costs_nothing() -> None:
    """The public names are there, and neither pluggy nor click was needed to say so."""
    assert imported_by("import palaver; palaver.__all__").isdisjoint({"pluggy", "click", "sqlite3", "asyncio"})


def test_every_built_in_comes_through_an_entry_point() -> None:
    folders = {
        path.name for root in ("plugins", "tui") for path in (ROOT / root).iterdir() if path.name.startswith("palaver_")
    }
    assert set(BUILT_IN) == folders


QUIETLY = """
import contextlib, io, sys
from palaver.cli import main
sys.argv = ["palaver", *{command!r}]
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
"""


@pytest.mark.parametrize("command", [["--version"], ["--help"], ["plugins", "list"], ["history", "list"]])
def test_commands_about_palaver_itself_import_no_plugin(command: list[str]) -> None:
    subprocess.run([sys.executable, "-m", "palaver", "plugins", "list"], capture_output=True, timeout=60)  # indexes
    assert imported_by(QUIETLY.format(command=command)).isdisjoint({*BUILT_IN, "textual"})


def test_twenty_plugins_of_others_are_not_imported_by_commands_about_palaver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path / "site", tmp_path / "home")
    for number in range(20):
        site.install(f"stranger{number}", "")
    site.out("--help")  # indexes, in a process of its own
    monkeypatch.setenv("PYTHONPATH", str(site.folder))
    monkeypatch.setenv("PALAVER_HOME", str(site.home))
    for command in (["--version"], ["--help"], ["plugins", "list"], ["history", "list"], ["doctor"]):
        brought = imported_by(QUIETLY.format(command=command))
        assert not [name for name in brought if name.startswith("fixture_")], command
    # Not even their metadata is looked for.
    assert "importlib.metadata" not in modules_after(QUIETLY.format(command=["--version"]))


def test_the_import_contracts_hold() -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([str(tool), "--no-cache"], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
