"""The house style, as far as a machine can read it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for root in ("core", "plugins", "tui") for path in (ROOT / root).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
LONGEST = 400
"""Lines of a file: more is two subjects."""
WIDGETS = {"Static", "Label", "Button", "OptionList", "Option", "Select", "Tab", "Checkbox", "RadioButton", "Tooltip"}
"""Constructors of Textual that read a plain string as markup."""
METHODS = {"notify", "update"}
"""Methods that do."""
PROPERTIES = {"border_title", "border_subtitle", "tooltip", "BORDER_TITLE", "BORDER_SUBTITLE"}
"""Attributes that do."""
TEXTS = {"SystemCommand": 2}
"""How many of a constructor's first arguments are shown, where that is not one."""
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


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=names([*SOURCES, *TESTS]))
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
        f"{path.relative_to(ROOT)}:{line}"
        for path in SOURCES
        if "tui" in path.parts and path != TEXT_DOOR
        for line in lines_with_markup(path.read_text("utf-8"))
    ]
    assert unsafe == []


def lines_with_markup(source: str) -> list[int]:
    """The lines of a file that hand Textual a string which it may read as markup."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            found += [call.lineno for call in calls_of_parent(node) if may_hold_markup_in(call, 1)]
        elif isinstance(node, ast.Call):
            name = last_word(node.func)
            is_shown = name in WIDGETS | TEXTS.keys() or (name in METHODS and isinstance(node.func, ast.Attribute))
            if is_shown and may_hold_markup_in(node, TEXTS.get(name, 1)):
                found.append(node.lineno)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if node.value and any(last_word(one) in PROPERTIES for one in targets) and may_hold_markup(node.value):
                found.append(node.lineno)
        elif isinstance(node, ast.FunctionDef) and node.name == "render" and returns_text(node):
            found.append(node.lineno)
    return found


def returns_text(node: ast.FunctionDef) -> bool:
    """Whether it says that it returns a string, or does not say."""
    return node.returns is None or ast.unparse(node.returns).strip("'\"") == "str"


def last_word(node: ast.expr) -> str:
    """`Static` of `Static` and of `widgets.Static`."""
    return str(getattr(node, "id", getattr(node, "attr", "")))


def calls_of_parent(node: ast.ClassDef) -> Iterator[ast.Call]:
    """`super().__init__(...)` and `Static.__init__(...)` in a class derived from a widget that reads markup."""
    if any(last_word(base) in WIDGETS for base in node.bases):
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and last_word(call.func) == "__init__":
                yield call


def may_hold_markup_in(call: ast.Call, texts: int) -> bool:
    """Whether one of the call's shown texts may, without `markup=False`."""
    if any(
        one.arg == "markup" and isinstance(one.value, ast.Constant) and one.value.value is False
        for one in call.keywords
    ):
        return False
    shown = {"content", "label", "prompt", "message", "title", "help", "tooltip"}
    given = [*call.args[:texts], *(one.value for one in call.keywords if one.arg in shown)]
    return any(may_hold_markup(value) for value in given)


def may_hold_markup(value: ast.expr) -> bool:
    """Anything that is neither a literal without brackets nor made by the door in widgets/text.py."""
    if isinstance(value, ast.Constant):
        return isinstance(value.value, str) and "[" in value.value
    if isinstance(value, ast.Call):
        return last_word(value.func) not in {"plain", "styled", "Content", "Text"}
    return True


@pytest.mark.parametrize(
    ("source", "is_unsafe"),
    [
        ("Static(answer)", True),
        ("widgets.Static(answer)", True),
        ("Static('Enter sends')", False),
        ("Static('[b]bold')", True),
        ("Static(answer, markup=False)", False),
        ("Static(plain(answer))", False),
        ("Static(f'{answer}')", True),
        ("self.notify(str(error))", True),
        ("self.notify(message, markup=False)", False),
        ("self.notify('done', title=name)", True),
        ("Button(label=name)", True),
        ("Static('x', tooltip=answer)", True),
        ("SystemCommand('model', info.description, run)", True),
        ("SystemCommand('app: quit', 'leave', app.exit)", False),
        ("widget.border_title = answer", True),
        ("widget.border_title = 'Scores'", False),
        ("self.border_subtitle: str = answer", True),
        ("self.tooltip = answer", True),
        ("self.tooltip = plain(answer)", False),
        ("class A(Static):\n    def __init__(self, answer):\n        super().__init__(answer)", True),
        ("class A(widgets.Static):\n    def __init__(self, answer):\n        Static.__init__(self.x)", True),
        ("class A(Static):\n    def __init__(self, answer):\n        super().__init__(answer, markup=False)", False),
        ("class A(Widget):\n    def __init__(self, id):\n        super().__init__(id)", False),
        ("class A(Static):\n    BORDER_TITLE = answer", True),
        ("class A(Widget):\n    def render(self) -> str: ...", True),
        ("class A(Widget):\n    def render(self): ...", True),
        ("class A(Widget):\n    def render(self) -> Content: ...", False),
    ],
)
def test_the_markup_lint_knows_what_is_unsafe(source: str, is_unsafe: bool) -> None:
    assert bool(lines_with_markup(source)) is is_unsafe


CLI = ROOT / "core/palaver/cli"
MADE_SAFE = {"safe_text", "to_json", "style"}
"""What makes a text that a terminal may get."""
OUR_OWN = {"context.get_help()", "__version__"}
"""Texts that are ours to the last letter."""


def test_the_command_line_writes_nothing_that_is_not_made_safe() -> None:
    """`write` trusts its caller, and the caller is `cli/output.py`; elsewhere the text is made safe on the spot."""
    unsafe = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted(CLI.rglob("*.py"))
        if path.name != "output.py"
        for line in lines_written_raw(path.read_text("utf-8"))
    ]
    assert unsafe == []


def lines_written_raw(source: str) -> list[int]:
    """The lines of a file that write, print or echo a text which may hold what a terminal obeys."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and last_word(node.func) in {"write", "print", "echo", "secho"}:
            is_ours = isinstance(node.func, ast.Name) and node.func.id == "write"  # write(stream, text)
            if not all(is_safe(one) for one in node.args[is_ours:]):
                found.append(node.lineno)
    return found


def is_safe(text: ast.expr) -> bool:
    """A literal, something made safe, a text of our own, or these put together."""
    if isinstance(text, ast.Constant) or ast.unparse(text) in OUR_OWN:
        return True
    if isinstance(text, ast.BinOp) and isinstance(text.op, ast.Add):
        return is_safe(text.left) and is_safe(text.right)
    if isinstance(text, ast.JoinedStr):
        return all(is_safe(one.value if isinstance(one, ast.FormattedValue) else one) for one in text.values)
    return isinstance(text, ast.Call) and last_word(text.func) in MADE_SAFE


@pytest.mark.parametrize(
    ("source", "is_raw"),
    [
        ("print(answer)", True),
        ("click.echo(answer)", True),
        ("click.secho(f'#{turn.id} {turn.output}')", True),
        ("write(sys.stdout, answer)", True),
        ("write(sys.stdout, safe_text(name) + answer)", True),
        ("sys.stdout.write(answer)", True),
        ("write(sys.stdout, safe_text(answer) + '\\n')", False),
        ("write(sys.stderr, context.get_help() + '\\n')", False),
        ("write(sys.stdout, output.style(title, 'bold'))", False),
        ("write(stream, to_json(record))", False),
        ("print(f'palaver {__version__}')", False),
        ("os.write(2, b'stopping')", False),
    ],
)
def test_the_lint_of_the_command_line_knows_what_is_raw(source: str, is_raw: bool) -> None:
    assert bool(lines_written_raw(source)) is is_raw


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
