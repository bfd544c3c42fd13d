"""A new project passes its own tests and the contract before a line of it is changed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from palaver.cli.plugin_new import write_project
from palaver.errors import BadInput, UsageError
from palaver.testing.contract import check_plugin
from palaver.testing.packaging import check_metadata, found_in

KINDS = ("task", "metric", "backend", "dataset", "screen")


@pytest.mark.parametrize("kind", KINDS)
def test_its_own_tests_pass_and_it_keeps_the_contract(tmp_path: Path, kind: str) -> None:
    project = write_project("first-light", kind, tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
        cwd=project, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = found_in(project)
    checks = [*check_plugin(found, project=project), *check_metadata(found, project)]
    assert [one for one in checks if one.status != "passed"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_its_files_are_clean(tmp_path: Path, kind: str) -> None:
    project = write_project("first-light", kind, tmp_path)
    for path in project.rglob("*.py"):
        source = path.read_text("utf-8")
        compile(source, path.name, "exec")
        assert "$" not in source
        assert max(map(len, source.splitlines())) <= 120


@pytest.mark.parametrize("name", ["Two Words", "../up", "", "-x", "a_b", "ünder", "a\x1b[31m"])
def test_a_name_that_cannot_be_a_command_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="no name for a plugin"):
        write_project(name, "task", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_kind_without_a_hook_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no hook for a song"):
        write_project("mine", "song", tmp_path)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    write_project("mine", "task", tmp_path)
    with pytest.raises(BadInput, match="there already"):
        write_project("mine", "task", tmp_path)


def checked(project: Path) -> tuple[int, list[str]]:
    """Exit code of the whole check, and how each claim about the package ended."""
    done = subprocess.run(
        [sys.executable, "-m", "palaver", "plugins", "check", str(project), "--json"],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    result = json.loads(done.stdout)
    return done.returncode, [one["status"] for one in result["plugins"][0]["checks"] if one["group"] == "packaging"]


@pytest.mark.soak
@pytest.mark.install
@pytest.mark.parametrize("kind", KINDS)
def test_the_wheel_of_every_kind_is_built_installed_and_removed_by_the_check(tmp_path: Path, kind: str) -> None:
    assert checked(write_project("first-light", kind, tmp_path)) == (0, ["passed"] * 3)


@pytest.mark.install
def test_its_wheel_is_built_installed_and_removed_by_the_check(tmp_path: Path) -> None:
    project = write_project("first-light", "task", tmp_path)
    assert checked(project) == (0, ["passed"] * 3)
    # A module that the wheel forgets is found out, although it works in the folder.
    pyproject = project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text("utf-8").replace('["palaver_first_light.py"]', '["README.md"]'), "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "palaver", "plugins", "check", str(project)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 1
    assert "it works where it is installed: ModuleNotFoundError" in done.stdout
