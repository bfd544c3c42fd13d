"""The plugin contract is add-only: what API 1 promised once is there, and takes what it took then."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import palaver
from palaver import hookspecs

PROMISED = Path(__file__).with_name("api-1.txt")
"""Lines are added where something is; none is changed or taken away, and what plugins write themselves gets none."""


def is_protocol(value: object) -> bool:
    return bool(getattr(value, "_is_protocol", False))


def parameters_of(value: object) -> str:
    """Parameters by name, with `=` behind those that may be left out; none of what cannot be called."""
    value = inspect.unwrap(value) if callable(value) else value
    if is_protocol(value) or not (
        inspect.isclass(value) or inspect.isfunction(value) or inspect.ismodule(value)
    ):  # `task` is both
        return ""
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return ", ".join(
        f"{stars.get(one.kind, '')}{one.name}{'=' * (one.default is not one.empty)}"
        for one in inspect.signature(value).parameters.values()
    )


def api() -> dict[str, str]:
    """Each hook, public name, public method and attribute of a protocol, to its parameters."""
    found = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("palaver_")}
    found |= {name: getattr(palaver, name) for name in palaver.__all__}
    told: dict[str, str] = {}
    for name, value in found.items():
        told[name] = parameters_of(value)
        if inspect.isclass(value) and value.__module__.partition(".")[0] == "palaver":
            members = {
                key: parameters_of(one)
                for key, one in vars(value).items()
                if inspect.isfunction(one) or isinstance(one, property)
            }
            members |= dict.fromkeys(inspect.get_annotations(value) if is_protocol(value) else (), "")
            told |= {f"{name}.{key}": one for key, one in members.items() if not key.startswith("_")}
    return told


def written(lines: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.]+)\((.*)\)$", lines, re.MULTILINE))


def broken(promised: dict[str, str], now: dict[str, str]) -> list[str]:
    """What somebody who wrote against the promise would stumble over."""
    found: list[str] = []
    for name, parameters in promised.items():
        if name not in now:
            found.append(f"{name} is gone")
            continue
        before = [one for one in parameters.split(", ") if one]
        after = [one for one in now[name].split(", ") if one]
        if after[: len(before)] != before:
            found.append(f"{name}({parameters}) takes ({now[name]}) now")
        elif needed := [one for one in after[len(before) :] if not one.endswith("=") and not one.startswith("*")]:
            found.append(f"{name} needs {', '.join(needed)}, which nobody gives")
    protocols = {name for name in promised if is_protocol(getattr(palaver, name, None))} - {"Desk"}
    return found + [
        f"{name} is missing in what plugins wrote"
        for name in now
        if name not in promised and name.partition(".")[0] in protocols
    ]


def test_nothing_that_was_promised_is_gone_or_takes_something_else() -> None:
    assert hookspecs.API == 1
    assert broken(written(PROMISED.read_text("utf-8")), api()) == []


def test_what_is_new_is_promised_with_it() -> None:
    missing = sorted(
        f"{name}({parameters})" for name, parameters in api().items() - written(PROMISED.read_text()).items()
    )
    assert missing == [], f"add these lines to {PROMISED.name}"


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({}, ["ask is gone"]),
        ({"ask": "prompt, model="}, ["ask(text, model=) takes (prompt, model=) now"]),
        ({"ask": "text, model"}, ["ask(text, model=) takes (text, model) now"]),
        ({"ask": "text, model=, seed"}, ["ask needs seed, which nobody gives"]),
        ({"ask": "text, model=, seed=", "more": ""}, []),
        ({"ask": "text, model=", "Metric": "", "Metric.unit": ""}, ["Metric.unit is missing in what plugins wrote"]),
    ],
)
def test_a_change_that_breaks_plugins_is_seen(now: dict[str, str], said: list[str]) -> None:
    promised = {"ask": "text, model="} | ({"Metric": ""} if "Metric" in now else {})
    assert broken(promised, now) == said
