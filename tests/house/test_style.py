"""The house style, as far as a machine can read it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for root in ("core", "plugins", "tui") for path in (ROOT / root).rglob("*.py"))
LONGEST = 400
"""Lines of a file: more is two subjects."""
WIDGETS = {"Static", "Label", "Button", "OptionList", "Option", "Select", "Tab", "Checkbox", "RadioButton", "Tooltip"}
"""Constructors of Textual that read a plain string as markup."""
METHODS = {"notify", "update"}
"""Methods that do."""
TEXT_DOOR = ROOT / "tui/palaver_tui/widgets/text.py"


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a file, with the last word of what is called."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func
            yield getattr(called, "id", getattr(called, "attr", "")), node


@pytest.mark.parametrize("path", SOURCES, ids=names(SOURCES))
def test_a_file_opens_with_a_sentence(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    first = docstring.partition("\n\n")[0]
    assert len(first.split()) >= 3, "a module's docstring is a sentence that could be its heading"
    assert first.rstrip().endswith((".", ":")), first


@pytest.mark.parametrize("path", SOURCES, ids=names(SOURCES))
def test_a_file_is_one_subject_long(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("path", SOURCES, ids=names(SOURCES))
def test_an_ignored_type_error_names_its_code(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not re.findall(r"# type: ignore(?!\[)|# pyright: ignore(?!\[)|# noqa(?!: [A-Z])", text)


@pytest.mark.parametrize("path", SOURCES, ids=names(SOURCES))
def test_no_file_is_named_after_nothing(path: Path) -> None:
    assert path.stem not in {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
    assert not re.search(r"^class \w*Manager\b", path.read_text("utf-8"), re.MULTILINE)


def test_only_the_command_line_prints() -> None:
    """Everything else returns or raises: stdout belongs to the answer."""
    printing = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in SOURCES
        if "cli" not in path.parts
        for name, call in calls(path)
        if name == "print" and isinstance(call.func, ast.Name)
    ]
    assert printing == []


def test_no_outside_string_reaches_a_widget_as_markup() -> None:
    """Textual reads markup in plain strings: `[/` crashes and `[@click=app.quit]` quits. `Text` and `plain` do not."""
    unsafe = [
        f"{path.relative_to(ROOT)}:{call.lineno} {name}"
        for path in SOURCES
        if "tui" in path.parts and path != TEXT_DOOR
        for name, call in calls(path)
        if reads_markup(name, call)
    ]
    assert unsafe == []


def reads_markup(name: str, call: ast.Call) -> bool:
    """Whether this call hands Textual a string that is not a literal, without `markup=False`."""
    is_method = isinstance(call.func, ast.Attribute)
    if not (name in WIDGETS and not is_method) and not (name in METHODS and is_method):
        return False
    if any(
        one.arg == "markup" and isinstance(one.value, ast.Constant) and one.value.value is False
        for one in call.keywords
    ):
        return False
    given = [
        *call.args[:1],
        *(one.value for one in call.keywords if one.arg in ("content", "label", "prompt", "message")),
    ]
    return any(may_hold_markup(value) for value in given)


def may_hold_markup(value: ast.expr) -> bool:
    """Anything that is neither a literal without brackets nor made by the door in widgets/text.py."""
    if isinstance(value, ast.Constant):
        return isinstance(value.value, str) and "[" in value.value
    if isinstance(value, ast.Call):
        called = getattr(value.func, "id", getattr(value.func, "attr", ""))
        return called not in {"plain", "styled", "Content", "Text"}
    return True


@pytest.mark.parametrize(
    ("source", "unsafe"),
    [
        ("Static(answer)", True),
        ("Static('Enter sends')", False),
        ("Static('[b]bold')", True),
        ("Static(answer, markup=False)", False),
        ("Static(plain(answer))", False),
        ("Static(f'{answer}')", True),
        ("self.notify(str(error))", True),
        ("self.notify(message, markup=False)", False),
        ("Button(label=name)", True),
    ],
)
def test_the_lint_knows_what_is_unsafe(source: str, unsafe: bool) -> None:
    call = ast.parse(source, mode="eval").body
    assert isinstance(call, ast.Call)
    assert reads_markup(getattr(call.func, "id", getattr(call.func, "attr", "")), call) is unsafe


CORE = [path for path in SOURCES if "core" in path.parts]


@pytest.mark.parametrize("path", CORE, ids=names(CORE))
def test_public_classes_and_functions_of_core_say_what_the_caller_gets(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    missing = [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert missing == []
