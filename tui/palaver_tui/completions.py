"""What the word at the end of a line can be completed to: models, options of a task, their values, files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from palaver.present import format_size
from palaver_tui.entries import Entry

if TYPE_CHECKING:
    from palaver.registry import Registry
    from palaver.task import Option, Task

MOST_FILES = 200
"""Files that are offered of one folder."""
LOOKED_AT = 20_000
"""Names that are looked at in one folder."""
OF_MODELS = ("model", "pull", "unload")
"""Commands of the chat that take the name of a model."""
EVERY_TASK = (
    Entry("--ref", "a reference, which scores the answer", "TEXT|@FILE", needs_more=True),
    Entry("--model", "the model that answers this once", "NAME", needs_more=True),
)


def word_entries(registry: Registry, line: str) -> list[Entry]:
    """The entries for the last word of a line that begins with a command; none where anything may stand."""
    name, _, rest = line[1:].partition(" ")
    before, _, word = rest.rpartition(" ")
    if name in OF_MODELS:
        return _models(registry, name) if not before.strip() else []
    task = registry.tasks().get(name)
    if task is None:
        return []
    last = before.split()[-1] if before.split() else ""
    if last in ("-m", "--model"):
        return [_model(registry, one.name) for one in registry.models()]
    options = {f"--{option.name}": option for option in task.schema()}
    if last in options:
        return _values(options[last])
    if word.startswith("--"):
        return [*_flags(task), *EVERY_TASK]
    place = len(before.split())
    if place < len(task.arguments) and not before.strip().startswith("-"):
        return _values(options[f"--{task.arguments[place]}"])
    return []


def _flags(task: type[Task]) -> list[Entry]:
    return [Entry(f"--{one.name}", one.help, _kind(one), needs_more=True) for one in task.schema()]


def _kind(option: Option) -> str:
    if option.choices:
        return "|".join(option.choices)
    default = "" if option.default in (None, "") else f", {option.default}"
    return {str: "TEXT", int: "NUMBER", float: "NUMBER", bool: "yes|no"}.get(option.type, "") + default


def _values(option: Option) -> list[Entry]:
    values = ("yes", "no") if option.type is bool else option.choices
    return [Entry(one, f"{option.name}: {option.help}", needs_more=True) for one in values]


def _models(registry: Registry, command: str) -> list[Entry]:
    if command == "unload":
        return [_model(registry, one.info.name, False) for one in registry.running() if not one.info.is_baseline]
    return [_model(registry, one.name, False) for one in registry.models() if command == "model" or one.files]


def _model(registry: Registry, name: str, needs_more: bool = True) -> Entry:
    info = registry.info(name)
    state = "on this machine" if registry.is_installed(info) else f"download {format_size(info.download_size)}"
    return Entry(name, info.description, "no weights" if info.is_baseline else state, info.backend, needs_more)


def file_entries(typed: str) -> list[Entry]:
    """The files that the last word of a line, an `@` and the beginning of a path, can be completed to.

    What begins like the word comes before what only holds it; hidden files are offered to a word with a dot.
    """
    word = typed.rpartition("@")[2]
    folder, slash, start = word.rpartition("/")
    wanted = start.casefold()
    found: list[tuple[bool, bool, str, os.DirEntry[str]]] = []
    try:
        with os.scandir(Path(folder + slash or ".").expanduser()) as listed:
            for index, one in enumerate(listed):
                name = one.name.casefold()
                is_meant = wanted in name and (start.startswith(".") or not name.startswith("."))
                if index >= LOOKED_AT:
                    break
                if is_meant and " " not in one.name:  # a word of a line has no spaces
                    found.append((not name.startswith(wanted), not one.is_dir(), name, one))
    except OSError:
        return []
    return [_file(folder + slash, one) for *_, one in sorted(found, key=lambda one: one[:3])[:MOST_FILES]]


def _file(folder: str, one: os.DirEntry[str]) -> Entry:
    if one.is_dir():
        return Entry(f"@{folder}{one.name}/", "folder", needs_more=True)
    try:
        size = format_size(one.stat().st_size)
    except OSError:  # a link that leads nowhere
        size = "not there"
    return Entry(f"@{folder}{one.name}", size, needs_more=True)
