"""The user's own keys, from keys.toml: which binding gets which key; what is wrong with the file, in sentences."""

from __future__ import annotations

import difflib
import importlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textual.binding import Binding
from textual.keys import KEY_ALIASES, Keys, _character_to_key

from palaver.paths import config_file
from palaver_tui.places import PLACES

SCREENS = (
    "palaver_tui.app:PalaverApp",
    "palaver_tui.screens.chat:ChatScreen",
    "palaver_tui.screens.form:FormScreen",
    "palaver_tui.screens.help:HelpScreen",
    "palaver_tui.widgets.exchange:Exchange",
    "palaver_tui.widgets.form:Box",
    "palaver_tui.widgets.form:More",
    "palaver_tui.widgets.prompt:Prompt",
    "palaver_tui.widgets.table:Table",
)
"""Where bindings are, beside the screens of the table."""
NOT_SENT = frozenset(
    ["ctrl+h", "ctrl+i", "ctrl+m", "ctrl+left_square_bracket", "ctrl+tab", "ctrl+enter", "alt+enter", "f10", "f11"]
    + [f"alt+{digit}" for digit in range(10)]
)
"""Keys that many terminals do not send, or that the window takes for itself."""
OF_EDITING = frozenset(f"ctrl+{letter}" for letter in "aekuwxyz")
"""Keys that edit the text of the prompt."""
_NAMES = {one.value for one in Keys} | set(KEY_ALIASES) | {"space", "plus", "minus", "slash", "question_mark"}


@dataclass(frozen=True)
class OwnKeys:
    """What the file says."""

    keys: Mapping[str, str] = field(default_factory=dict)
    """Keys by the id of the binding, several of them with commas."""
    problems: tuple[str, ...] = ()
    """What could not be used, and why; all else holds."""


def keys_file() -> Path:
    """`keys.toml`, beside the settings."""
    return config_file().with_name("keys.toml")


def read_keys(path: Path | None = None) -> OwnKeys:
    """The user's own keys; none where there is no file."""
    path = path or keys_file()
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return OwnKeys()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return OwnKeys(problems=(f"{path} cannot be read, so the keys are the usual ones: {error}.",))
    known = bindings()
    keys: dict[str, str] = {}
    problems: list[str] = []
    for name, value in _flat(table):
        problem = _problem(name, value, known)
        if problem:
            problems.append(f"{path.name}: {problem}")
        else:
            keys[name] = ",".join(map(_normal, _several(value)))
    for clash in _clashes(keys, known):
        problems.append(f"{path.name}: {clash}")
    return OwnKeys(keys, tuple(problems))


def bindings() -> dict[str, tuple[str, Binding]]:
    """Every binding that has a name, with the class that has it."""
    found: dict[str, tuple[str, Binding]] = {}
    for source in (*SCREENS, *(place.source for place in PLACES if place.source)):
        module, _, name = source.partition(":")
        kind: Any = getattr(importlib.import_module(module), name)
        for one in kind.BINDINGS:
            if isinstance(one, Binding) and one.id:
                found[one.id] = (name, one)
    return found


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """`[answer]` with `copy = "y"` is `answer.copy = "y"`."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def _several(value: Any) -> list[str]:
    return value if isinstance(value, list) else value.split(",")


def _problem(name: str, value: Any, known: Mapping[str, object]) -> str:
    """Why a line cannot be used; empty if it can."""
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        return f"there is nothing called '{name}'." + (f" Did you mean '{near[0]}'?" if near else "")
    if not isinstance(value, str | list) or not all(isinstance(one, str) for one in _several(value)):
        return f'the key of {name} is a text, such as "ctrl+y".'
    for one in _several(value):
        key = _normal(one)
        if not _is_key(key):
            return f"'{one}' is no key, so {name} keeps its own. A key is a letter, f5, ctrl+y, alt+up."
        if key in NOT_SENT:
            return f"{one} does not arrive in most terminals, so {name} keeps its own key."
        if key in OF_EDITING:
            return f"{one} edits the text of the prompt, so {name} keeps its own key."
    return ""


def _normal(key: str) -> str:
    """`+` is `plus`, `Ctrl+Y` is `ctrl+y`."""
    key = key.strip()
    if len(key) == 1:
        return _character_to_key(key)
    *modifiers, last = key.split("+")
    return "+".join([*(one.casefold() for one in modifiers), last.casefold()])


def _is_key(key: str) -> bool:
    *modifiers, last = key.split("+")
    is_named = last in _NAMES or len(last) == 1 or last == _character_to_key(last[:1])
    return bool(last) and is_named and all(one in ("ctrl", "alt", "shift", "super") for one in modifiers)


def _clashes(keys: Mapping[str, str], known: Mapping[str, tuple[str, Binding]]) -> Iterator[str]:
    """Keys that two bindings of the same place have now."""
    taken: dict[tuple[str, str], str] = {}
    for name, (owner, binding) in known.items():
        for key in keys.get(name, binding.key).split(","):
            other = taken.setdefault((owner, key), name)
            if other != name and (name in keys or other in keys):
                yield f"{other} and {name} both have {key}; the first one gets it."
