"""`palaver plugins check`: the contract, claim by claim, for one plugin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from palaver.cli.program import Program
from palaver.errors import BadInput, not_found
from palaver.plugins import Found, find
from palaver.testing.check import GROUPS, Check


def check_plugins(program: Program, target: str, *, as_json: bool, is_packaged: bool) -> bool:
    """Print what each check says; True if none failed."""
    results = {
        found.name: sorted(_checks(found, project, is_packaged), key=lambda one: GROUPS.index(one.group))
        for found, project in wanted(target)
    }
    failed = [check for checks in results.values() for check in checks if check.status == "failed"]
    if as_json:
        plugins = [{"name": name, "checks": [asdict(one) for one in checks]} for name, checks in results.items()]
        program.output.record({"schema": "palaver.check/1", "failed": len(failed), "plugins": plugins})
    else:
        for name, checks in results.items():
            for line in _lines(name, checks):
                program.output.show(line)
    return not failed


def wanted(target: str) -> list[tuple[Found, Path | None]]:
    """The plugins that a name or a folder means; without either the project we stand in, else all that others wrote.

    Raises:
        NotFound: no such plugin. BadInput: a folder without one, or nothing to check.
    """
    from palaver.testing.packaging import found_in

    folder = Path(target).expanduser() if target else Path()
    installed = find()
    named = [one for one in installed if one.name == target]
    if named:
        return [(named[0], None)]
    if (target and folder.is_dir()) or (not target and (folder / "pyproject.toml").is_file()):
        return [(one, folder.resolve()) for one in found_in(folder)]
    if target:
        raise not_found("plugin or folder", target, [one.name for one in installed], fix="palaver plugins list")
    others: list[tuple[Found, Path | None]] = [(one, None) for one in installed if not one.is_built_in]
    if not others:
        raise BadInput(
            "There is nothing to check: no plugin but the built-in ones.", fix="palaver plugins check FOLDER"
        )
    return others


def _checks(found: Found, project: Path | None, is_packaged: bool) -> Iterator[Check]:
    from palaver.testing.contract import check_plugin
    from palaver.testing.packaging import check_metadata, check_packaging

    yield from check_plugin(found, project=project)
    yield from check_metadata(found, project)
    if not is_packaged:
        yield Check("packaging", "wheel", "skipped", "--no-packaging")
    elif project is None:
        yield Check("packaging", "wheel", "skipped", "give the folder of its project")
    else:
        yield from check_packaging(found, project)


def _lines(name: str, checks: Iterable[Check]) -> Iterator[str]:
    """One line a group; below it what failed or was not looked at."""
    yield name
    by_group = {group: [one for one in checks if one.group == group] for group in GROUPS}
    for group, ones in by_group.items():
        if not ones:
            continue
        failed = [one for one in ones if one.status == "failed"]
        passed = [one for one in ones if one.status == "passed"]
        state = "FAILED" if failed else "ok" if passed else "skipped"
        yield f"  {group:<12} {state:<7} {len(passed)} of {len(failed) + len(passed)}"
        for one in ones:
            if one.status != "passed":
                yield f"    {one.subject}: {one.message}"
